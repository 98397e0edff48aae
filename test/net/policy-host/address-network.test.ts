import { expect, it } from "vitest";
import { networksOf } from "../../../src/net/policy-host/address-network.ts";

it.each<[addresses: string[], networks: string[], reason: string]>([
  [["192.0.2.1", "192.0.2.2"], ["192.0.2.1", "192.0.2.2"], "IPv4 addresses stand for themselves"],
  [["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"], ["2001:db8:1:2::/64"], "one /64"],
  [["2001:db8:1:2::1", "2001:db8:1:3::1"], ["2001:db8:1:2::/64", "2001:db8:1:3::/64"], "two of them"],
  [["2001:DB8:0:0:0:0:0:1", "2001:db8::2"], ["2001:db8::/64"], "whatever the spelling"],
  [["64:ff9b::192.0.2.1", "192.0.2.1"], ["192.0.2.1"], "NAT64: what is behind it"],
  [
    ["64:ff9b::c000:201", "64:ff9b::c000:202"],
    ["192.0.2.1", "192.0.2.2"],
    "NAT64 is no network of one owner",
  ],
  [["192.0.2.1", "192.0.2.1"], ["192.0.2.1"], "the same twice"],
  [[], [], "none, as with a proxy"],
])("%j → %j (%s)", (addresses, networks) => {
  expect(networksOf(addresses)).toEqual(networks);
});
