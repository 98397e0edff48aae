/** The records a test name server answers from. Setters replace the whole record set of that name and type. */
import type { Answer } from "dns-packet";

export interface ZoneRecordOptions {
  /** Seconds; 300 without. */
  readonly ttl?: number;
}

/** What a question is answered with, before it is put into a message. */
export interface ZoneAnswer {
  readonly missing: boolean;
  readonly answers: Answer[];
  readonly authorities: Answer[];
  readonly authenticated: boolean;
}

type OneOrMore<T> = T | readonly T[];

export class Zone {
  /** The SOA of negative answers (owned by the root): its own TTL and its MINIMUM, in seconds. Undefined: none is sent. */
  negative: { ttl: number; minimum: number } | undefined = { ttl: 300, minimum: 60 };

  readonly #names = new Map<string, Map<string, readonly Answer[]>>();
  readonly #secure = new Map<string, boolean>();

  /** Each record is a text, cut into strings of 255 octets, or the strings themselves. One char is one octet (latin1). */
  txt(
    name: string,
    records: OneOrMore<string | { strings: readonly string[] }>,
    options?: ZoneRecordOptions,
  ): void {
    this.#set(name, "TXT", records, (owner, record) => {
      const strings = typeof record === "string" ? (record.match(/[^]{1,255}/g) ?? [""]) : record.strings;
      const data = strings.map((text) => Buffer.from(text, "latin1"));
      return { ...owner, type: "TXT", ttl: ttl(options), data };
    });
  }

  a(name: string, addresses: OneOrMore<string>, options?: ZoneRecordOptions): void {
    this.#set(name, "A", addresses, (owner, data) => ({ ...owner, type: "A", ttl: ttl(options), data }));
  }

  aaaa(name: string, addresses: OneOrMore<string>, options?: ZoneRecordOptions): void {
    this.#set(name, "AAAA", addresses, (owner, data) => ({
      ...owner,
      type: "AAAA",
      ttl: ttl(options),
      data,
    }));
  }

  /** Exchanges in order of preference (10, 20, …), or with their own. `.` is the null MX, which has preference 0. */
  mx(
    name: string,
    exchanges: OneOrMore<string | { preference: number; exchange: string }>,
    options?: ZoneRecordOptions,
  ): void {
    this.#set(name, "MX", exchanges, (owner, exchange, index) => {
      const preference = exchange === "." ? 0 : (index + 1) * 10;
      const data = typeof exchange === "string" ? { preference, exchange } : exchange;
      return { ...owner, type: "MX", ttl: ttl(options), data };
    });
  }

  tlsa(
    name: string,
    records: OneOrMore<{ usage: number; selector: number; matchingType: number; data: Uint8Array }>,
    options?: ZoneRecordOptions,
  ): void {
    this.#set(name, "TLSA", records, (owner, { data: bytes, ...parameters }) => {
      const data = { ...parameters, certificate: Buffer.from(bytes) };
      return { ...owner, type: "TLSA", ttl: ttl(options), data };
    });
  }

  cname(name: string, target: string, options?: ZoneRecordOptions): void {
    this.#set(name, "CNAME", target, (owner, data) => ({ ...owner, type: "CNAME", ttl: ttl(options), data }));
  }

  /** The SOA that is asked for by name; negative answers carry {@link negative}. */
  soa(name: string, options?: ZoneRecordOptions): void {
    const data = { mname: "ns.invalid", rname: "hostmaster.invalid", serial: 1 };
    this.#set(name, "SOA", data, (owner) => ({ ...owner, type: "SOA", ttl: ttl(options), data }));
  }

  /** Removes one record set, or without `type` the name. */
  remove(name: string, type?: string): void {
    const sets = this.#names.get(key(name));
    if (type !== undefined) sets?.delete(type);
    if (type === undefined || sets?.size === 0) this.#names.delete(key(name));
  }

  /** Says whether `name` and all below it, down to the next name given, is a signed zone. `.` is everything. */
  secure(name: string, signed = true): void {
    this.#secure.set(key(name), signed);
  }

  answer(name: string, type: string): ZoneAnswer {
    const answers: Answer[] = [];
    let owner = key(name);
    let authenticated = this.#isSecure(owner);
    // Sixteen aliases are more than any client follows, and end a loop.
    for (let aliases = 0; aliases < 16; aliases++) {
      const alias = this.#records(owner, "CNAME")[0];
      if (alias?.type !== "CNAME" || type === "CNAME") break;
      answers.push(alias);
      owner = key(alias.data);
      authenticated &&= this.#isSecure(owner);
    }
    const found = this.#records(owner, type);
    answers.push(...found);
    const missing = !this.#exists(owner);
    return { missing, answers, authorities: found.length > 0 ? [] : this.#soa(), authenticated };
  }

  #set<T>(
    name: string,
    type: string,
    records: T | readonly T[],
    build: (owner: { name: string }, record: T, index: number) => Answer,
  ): void {
    const owner = { name: key(name) || "." };
    const set = (isList(records) ? records : [records]).map((record, index) => build(owner, record, index));
    const sets = this.#names.get(key(name)) ?? new Map<string, readonly Answer[]>();
    this.#names.set(key(name), sets.set(type, set));
  }

  #records(owner: string, type: string): readonly Answer[] {
    return this.#names.get(owner)?.get(type) ?? [];
  }

  #soa(): Answer[] {
    if (this.negative === undefined) return [];
    const data = { mname: "ns.invalid", rname: "hostmaster.invalid", minimum: this.negative.minimum };
    return [{ type: "SOA", name: ".", ttl: this.negative.ttl, data }];
  }

  #exists(name: string): boolean {
    return (
      name === "" || [...this.#names.keys()].some((owner) => owner === name || owner.endsWith(`.${name}`))
    );
  }

  #isSecure(name: string): boolean {
    for (let at = name; ; at = at.slice(at.indexOf(".") + 1)) {
      const signed = this.#secure.get(at);
      if (signed !== undefined) return signed;
      if (!at.includes(".")) return this.#secure.get("") ?? false;
    }
  }
}

/** Names are compared in lower case, without the final dot; the root is empty. */
export function key(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function ttl(options: ZoneRecordOptions | undefined): number {
  return options?.ttl ?? 300;
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
