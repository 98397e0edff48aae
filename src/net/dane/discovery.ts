/** DANE discovery (RFC 7672 §2.2): MX, then addresses, then TLSA, each only where the one before was authenticated. */
import {
  type DaneFailure,
  type DaneFinding,
  type DaneHost,
  type MxSet,
  summarise,
  tlsaProblem,
  unknown,
} from "./finding.ts";
import { type DnsAnswer, DnsError, type MxRecord, type RecordType, type Resolver } from "../dns/resolver.ts";

export interface DaneOptions {
  readonly resolver: Resolver;
  /** Whether the resolver's AD bit may be trusted; without that there is no DANE, and nothing is asked. */
  readonly trustAd: boolean;
  readonly signal?: AbortSignal;
  /** MX hosts that are looked at, the most preferred first; 20 without. */
  readonly maxHosts?: number;
  /** Hosts at once; 4 without. */
  readonly parallel?: number;
  /** Seconds for which a failed question counts, and a finding that asked none; 30 without. */
  readonly failureTtl?: number;
}

/**
 * Finds what DANE says about mail to `domain` (A-labels, lower case) on port 25.
 * Throws {@link DnsError} `aborted` and nothing else: that DNS could not be asked is part of the finding.
 */
export async function discoverDane(domain: string, options: DaneOptions): Promise<DaneFinding> {
  const { maxHosts = 20, parallel = 4, failureTtl = 30 } = options;
  if (!options.trustAd) {
    const mx: MxSet = { kind: "not-asked", secure: false, leftOut: 0 };
    return { domain, mx, hosts: [], summary: { state: "none" }, ttl: failureTtl };
  }
  const questions = new Questions(options, failureTtl);
  const answer = await questions.ask(domain, "MX");
  if ("failure" in answer) {
    const mx: MxSet = { kind: "unknown", secure: false, leftOut: 0 };
    return { domain, mx, hosts: [], summary: unknown(answer.failure), ttl: questions.ttl };
  }
  const { kind, exchanges } = mailHosts(domain, answer);
  const asked = exchanges.slice(0, maxHosts);
  const mx: MxSet = { kind, secure: answer.authenticated, leftOut: exchanges.length - asked.length };
  const hosts = await mapInParallel(asked, parallel, (exchange) => discoverHost(exchange, questions));
  return { domain, mx, hosts, summary: summarise(mx, hosts), ttl: questions.ttl };
}

/** The hosts that mail to `domain` goes to, most preferred first, each once. */
function mailHosts(
  domain: string,
  { records, nameMissing }: DnsAnswer<"MX">,
): Pick<MxSet, "kind"> & { exchanges: readonly MxRecord[] } {
  if (nameMissing) return { kind: "no-domain", exchanges: [] };
  if (records.length === 0) return { kind: "implicit", exchanges: [{ preference: 0, exchange: domain }] };
  const sorted = records.toSorted((a, b) => a.preference - b.preference);
  const exchanges = sorted.filter(
    ({ exchange }, index) =>
      exchange !== "" && sorted.findIndex((other) => other.exchange === exchange) === index,
  );
  // RFC 7505 §3 knows the null MX alone; beside others it is no host, so nothing is lost.
  return { kind: exchanges.length > 0 ? "mx" : "null", exchanges };
}

async function discoverHost(
  { exchange: name, preference }: MxRecord,
  questions: Questions,
): Promise<DaneHost> {
  const host = { name, preference, canonicalName: name, addressSecure: false, tlsaName: undefined, tlsa: [] };
  const answers = await Promise.all([questions.ask(name, "A"), questions.ask(name, "AAAA")]);
  const addresses = answers
    .filter((answer) => "records" in answer)
    .filter(({ records }) => records.length > 0);
  const address = addresses.find((answer) => answer.authenticated) ?? addresses[0];
  if (address === undefined) {
    // Where one family is absent and the other could not be asked, we do not know.
    const failure = answers.find((answer) => "failure" in answer)?.failure;
    return { ...host, state: failure === undefined ? "no-address" : "unknown", failure };
  }
  const { canonicalName, authenticated: addressSecure } = address;
  const found = { ...host, canonicalName, addressSecure, failure: undefined };
  if (addressSecure) {
    return { ...found, ...(await discoverTlsa([...new Set([canonicalName, name])], questions)) };
  }
  // RFC 7672 §2.2.2: name servers of unsigned zones may fail on TLSA, so they are not asked.
  const insecure: DaneHost = { ...found, state: "insecure" };
  if (canonicalName === name) return insecure;
  // But an alias may itself be in a signed zone, and have TLSA records there, wherever it leads.
  const alias = await questions.ask(name, "CNAME");
  if ("failure" in alias) return { ...found, state: "unknown", failure: alias.failure };
  return alias.authenticated ? { ...found, ...(await discoverTlsa([name], questions)) } : insecure;
}

/** RFC 7672 §2.2.3: the name after all aliases first, then, where it has no secure TLSA records, the original one. */
async function discoverTlsa(
  bases: readonly string[],
  questions: Questions,
): Promise<Pick<DaneHost, "state" | "tlsaName" | "tlsa" | "failure">> {
  let secureAbsence = true;
  let tlsaName: string | undefined;
  for (const base of bases) {
    tlsaName = `_25._tcp.${base}`;
    const answer = await questions.ask(tlsaName, "TLSA");
    // RFC 7672 §2.1.2: a failure is no absence; going on to the other name would skip what may be here.
    if ("failure" in answer) return { state: "unknown", tlsaName, tlsa: [], failure: answer.failure };
    secureAbsence &&= answer.authenticated;
    if (!answer.authenticated || answer.records.length === 0) continue;
    const tlsa = answer.records.map((record) => ({ record, problem: tlsaProblem(record) }));
    const usable = tlsa.some(({ problem }) => problem === undefined);
    return { state: usable ? "secure-tlsa" : "unusable-tlsa", tlsaName, tlsa, failure: undefined };
  }
  return { state: secureAbsence ? "no-tlsa" : "insecure", tlsaName, tlsa: [], failure: undefined };
}

/** Asks, turns failures into values, and keeps the time for which all that was learnt holds. */
class Questions {
  /** Seconds: the smallest TTL of all answers so far. */
  ttl = Infinity;
  readonly #options: DaneOptions;
  readonly #failureTtl: number;

  constructor(options: DaneOptions, failureTtl: number) {
    this.#options = options;
    this.#failureTtl = failureTtl;
  }

  /** Throws {@link DnsError} `aborted`. */
  async ask<T extends RecordType>(
    name: string,
    type: T,
  ): Promise<DnsAnswer<T> | { readonly failure: DaneFailure }> {
    try {
      const answer = await this.#options.resolver.resolve(name, type, this.#options.signal);
      this.ttl = Math.min(this.ttl, answer.ttl);
      return answer;
    } catch (error) {
      if (!(error instanceof DnsError) || error.code === "aborted") throw error;
      this.ttl = Math.min(this.ttl, this.#failureTtl);
      // Where no name can be, there is nothing, for certain: an MX host or its TLSA name that is too long, or a host whose
      // aliases go round.
      const isLoop = error.code === "cname-loop" && (type === "A" || type === "AAAA");
      if (error.code === "bad-name" || isLoop) {
        return {
          records: [],
          canonicalName: name,
          nameMissing: true,
          ttl: this.#failureTtl,
          authenticated: true,
        };
      }
      return { failure: { name, type, error } };
    }
  }
}

/** Maps in order, with at most `parallel` at once. */
async function mapInParallel<T, R>(
  items: readonly T[],
  parallel: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const work = async (): Promise<void> => {
    // One iterator for all workers: each item is taken once.
    for (const [index, item] of queue) results[index] = await map(item);
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return results;
}
