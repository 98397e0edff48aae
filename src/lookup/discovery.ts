/** Asks DNS for a domain's MTA-STS record. */
import { DnsError } from "../net/dns/resolver.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { findRecord, recordName } from "../policy/record.ts";
import type { RecordFinding } from "../policy/record.ts";

/** What the TXT query came to. That DNS could not be asked is an outcome of its own, never absence. */
export type RecordDiscovery =
  | (RecordFinding & {
      /** Seconds; of a negative answer the SOA's negative TTL. */
      readonly ttl: number;
      /** The name that owns the records, after CNAMEs. */
      readonly canonicalName: string;
    })
  | { readonly kind: "dns-failure"; readonly error: DnsError };

/** RFC 8461 §3.1. Never throws but for programming errors. */
export async function discoverRecord(
  domain: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<RecordDiscovery> {
  try {
    const answer = await resolver.resolve(recordName(domain), "TXT", signal);
    return { ...findRecord(answer.records), ttl: answer.ttl, canonicalName: answer.canonicalName };
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    // DNS did answer. What it holds can never become a record unless its owner mends it.
    const isOwnersFault = error.code === "cname-loop" || error.code === "bad-name";
    if (!isOwnersFault) return { kind: "dns-failure", error };
    return { kind: "invalid", reason: error.message, ttl: 0, canonicalName: recordName(domain) };
  }
}
