/** Asks DNS for a domain's TLSRPT record. */
import { DnsError } from "../../net/dns/resolver.ts";
import type { Resolver } from "../../net/dns/resolver.ts";
import { findTlsrptRecord, tlsrptRecordName } from "../../policy/tlsrpt-record.ts";
import type { TlsrptRecordFinding } from "../../policy/tlsrpt-record.ts";

/** What the TXT query came to. */
export type TlsrptDiscovery =
  | (TlsrptRecordFinding & {
      /** Seconds; of a negative answer the SOA's negative TTL. */
      readonly ttl: number;
    })
  | { readonly kind: "dns-failure"; readonly error: DnsError };

/** RFC 8460 §3. Never throws but for programming errors. */
export async function discoverTlsrptRecord(
  domain: string,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<TlsrptDiscovery> {
  try {
    const { records, ttl } = await resolver.resolve(tlsrptRecordName(domain), "TXT", signal);
    return { ...findTlsrptRecord(records), ttl };
  } catch (error) {
    if (error instanceof DnsError) return { kind: "dns-failure", error };
    throw error;
  }
}
