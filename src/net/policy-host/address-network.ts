/** Who is behind an address, as far as the address tells. */
import ipaddr from "ipaddr.js";
import { NAT64 } from "./address-guard.ts";

/** The part of an IPv6 address that names a network (RFC 4291 §2.5.1); the rest its owner chooses freely. */
const NETWORK_OCTETS = 8;

/**
 * The networks of `addresses`, each once: whoever has one address in an IPv6 /64 has them all. An IPv4 address stands for
 * itself, also behind NAT64.
 */
export function networksOf(addresses: readonly string[]): string[] {
  return [...new Set(addresses.map(networkOf))];
}

function networkOf(address: string): string {
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  const octets = parsed.toByteArray();
  if (parsed.match(NAT64)) return new ipaddr.IPv4(octets.slice(12)).toString();
  const rest = octets.slice(NETWORK_OCTETS).fill(0);
  return `${new ipaddr.IPv6([...octets.slice(0, NETWORK_OCTETS), ...rest]).toString()}/64`;
}
