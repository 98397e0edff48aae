/**
 * Which addresses a policy host may have. Anybody who owns a domain chooses what `mta-sts.<domain>` resolves to, so a
 * fetch must not become a way into the networks behind us.
 */
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Address, number];

/** A range of the allow list is no CIDR: the administrator must mend the configuration. */
export class AddressGuardError extends Error {
  override readonly name = "AddressGuardError";
  readonly code = "bad-range";
}

/** RFC 4291 §2.4: the only part of IPv6 given out for global unicast. What lies beside it is special or unassigned. */
const GLOBAL_UNICAST = ipaddr.parseCIDR("2000::/3");

/** RFC 6052 §2.1. The local-use prefix 64:ff9b:1::/48 is not in it: where its IPv4 address stands, only its network knows. */
export const NAT64 = ipaddr.parseCIDR("64:ff9b::/96");

export class AddressGuard {
  readonly #allowed: readonly Network[];

  /**
   * @param allowed ranges (or single addresses) that pass although they are not globally routable
   * Throws {@link AddressGuardError}.
   */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = allowed.map(parseRange);
  }

  /** Whether a policy host may be contacted at `address`. What is no address is refused. */
  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.parse(address);
    return this.#allowed.some((range) => contains(range, parsed)) || isGloballyRoutable(parsed);
  }
}

/** By the special-purpose registries of IANA (RFC 6890). Addresses that carry an IPv4 address are what that one is. */
function isGloballyRoutable(address: Address): boolean {
  if (address instanceof ipaddr.IPv4) return address.range() === "unicast";
  const octets = address.toByteArray();
  if (contains(NAT64, address)) return isGloballyRoutable(new ipaddr.IPv4(octets.slice(12, 16)));
  if (address.range() === "6to4") return isGloballyRoutable(new ipaddr.IPv4(octets.slice(2, 6)));
  return address.range() === "unicast" && contains(GLOBAL_UNICAST, address);
}

function contains([network, bits]: Network, address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits);
}

function parseRange(text: string): Network {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (!ipaddr.isValid(text)) throw new AddressGuardError(`not an address range: ${text}`);
  const address = ipaddr.parse(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}
