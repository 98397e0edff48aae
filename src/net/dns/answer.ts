/** What a decoded message says about the name that was asked for: aliases, records, TTLs, absence. */
import type { Answer } from "dns-packet";
import ipaddr from "ipaddr.js";
import { type DnsMessage, Rcode } from "./message.ts";
import { normalName } from "./name.ts";
import { type DnsAnswer, DnsError, type RecordShapes, type RecordType } from "./resolver.ts";

/** The aliases that one question may follow, over all messages. */
const MAX_ALIASES = 8;

/** How far the question has come when a message is read. */
export interface Trail {
  /** The name now asked for. */
  readonly name: string;
  readonly aliases: number;
  /** Seconds: the smallest TTL so far, Infinity at the start. */
  readonly ttl: number;
  /** Whether all messages so far had the AD bit. */
  readonly authenticated: boolean;
}

type AnswerOf<K extends string> = Answer & { readonly type: K };

/** What dns-packet decodes a record's data to → what we hand out. */
const SHAPES: { readonly [K in RecordType]: (record: AnswerOf<K>) => RecordShapes[K] } = {
  A: ({ data }) => data,
  AAAA: ({ data }) => ipaddr.IPv6.parse(data).toRFC5952String(),
  MX: ({ data }) => ({ preference: data.preference ?? 0, exchange: normalName(data.exchange) }),
  TXT: ({ data }) => [data].flat().map(latin1).join(""),
  TLSA: ({ data: { certificate, ...parameters } }) => ({ ...parameters, data: certificate }),
  CNAME: ({ data }) => normalName(data),
  SOA: ({ data }) => data,
  DNSKEY: ({ data }) => data,
};

/**
 * Reads a NOERROR or NXDOMAIN message. Gives the answer, or where the message ends with an alias and says nothing about
 * its target (some forwarders do that), the trail on which to ask again.
 * Throws {@link DnsError} `cname-loop` after {@link MAX_ALIASES} aliases.
 */
export function readMessage<T extends RecordType>(
  message: DnsMessage,
  trail: Trail,
  type: T,
): { answer: DnsAnswer<T> } | { trail: Trail } {
  const start = trail;
  const authenticated = trail.authenticated && message.authenticated;
  let { name, aliases, ttl } = trail;
  for (;;) {
    const alias = type === "CNAME" ? undefined : recordsOf(message.answers, name, "CNAME")[0];
    if (alias === undefined) break;
    aliases++;
    if (aliases > MAX_ALIASES)
      throw new DnsError("cname-loop", `more than ${MAX_ALIASES} aliases, the last at ${name}`);
    ttl = Math.min(ttl, seconds(alias.ttl));
    name = normalName(alias.data);
  }

  const found = recordsOf(message.answers, name, type);
  if (found.length > 0) {
    const records = found.map((record) => SHAPES[type](record));
    ttl = Math.min(ttl, ...found.map((record) => seconds(record.ttl)));
    return { answer: { records, canonicalName: name, nameMissing: false, ttl, authenticated } };
  }

  const nameMissing = message.rcode === Rcode.NXDOMAIN;
  const negative = negativeTtl(message.authorities, name);
  // RFC 2308 §2: an answer about the target would have its records, NXDOMAIN, or its SOA.
  if (name !== start.name && !nameMissing && negative === undefined) {
    return { trail: { name, aliases, ttl, authenticated } };
  }
  ttl = Math.min(ttl, negative ?? 0);
  return { answer: { records: [], canonicalName: name, nameMissing, ttl, authenticated } };
}

/** RFC 2308 §5: the smaller of the SOA's own TTL and its MINIMUM; undefined without the SOA of a zone that holds `name`. */
function negativeTtl(authorities: readonly Answer[], name: string): number | undefined {
  for (const record of authorities) {
    if (record.type !== "SOA") continue;
    const zone = normalName(record.name);
    if (zone === "" || name === zone || name.endsWith(`.${zone}`)) {
      return Math.min(seconds(record.ttl), seconds(record.data.minimum));
    }
  }
  return undefined;
}

function recordsOf<K extends string>(records: readonly Answer[], owner: string, type: K): AnswerOf<K>[] {
  return records.filter(
    (record): record is AnswerOf<K> =>
      record.type === type && "class" in record && record.class === "IN" && normalName(record.name) === owner,
  );
}

/** RFC 2181 §8: a TTL with the top bit set is zero. */
function seconds(ttl: number | undefined): number {
  return ttl === undefined || ttl > 0x7fff_ffff ? 0 : ttl;
}

function latin1(part: string | Buffer): string {
  return typeof part === "string" ? part : part.toString("latin1");
}
