/** Whether the AD bit of our resolvers means something: may it be trusted, and is it ever set. */
import ipaddr from "ipaddr.js";
import type { DnsServerAddress } from "./transport.ts";
import { DnsError, type Resolver } from "./resolver.ts";

/** `auto` trusts servers on this machine, and those that resolv.conf(5) declares with `options trust-ad`. */
export type AdTrust = "auto" | "always" | "never";

/**
 * Whether the AD bit of these servers counts (RFC 7672 §2.1.1 wants a trusted resolver and a safe way to it).
 * `declared`: the servers are resolv.conf's, and it says `trust-ad`.
 */
export function trustsAd(setting: AdTrust, servers: readonly DnsServerAddress[], declared: boolean): boolean {
  if (setting !== "auto") return setting === "always";
  return declared || (servers.length > 0 && servers.every((server) => isLoopback(server.host)));
}

function isLoopback(host: string): boolean {
  return ipaddr.isValid(host) && ipaddr.process(host).range() === "loopback";
}

/** What a question for a signed name showed; `unknown` carries why it could not be asked. */
export type Validation =
  | { readonly state: "validating" | "not-validating" }
  | { readonly state: "unknown"; readonly error: DnsError };

/** What is known of our resolvers; `ad-not-trusted`: nothing was asked, for their AD bit would mean nothing. */
export type ValidationState = Validation["state"] | "ad-not-trusted";

/**
 * Asks for a name that is signed. A resolver that validates sets the AD bit. Never throws.
 * The root's SOA is the default: every trust anchor covers it, and its answer is small.
 */
export async function checkValidation(
  resolver: Resolver,
  { name = ".", type = "SOA", signal }: { name?: string; type?: "SOA" | "DNSKEY"; signal?: AbortSignal } = {},
): Promise<Validation> {
  try {
    const { records, authenticated } = await resolver.resolve(name, type, signal);
    return { state: authenticated && records.length > 0 ? "validating" : "not-validating" };
  } catch (error) {
    if (error instanceof DnsError) return { state: "unknown", error };
    throw error;
  }
}
