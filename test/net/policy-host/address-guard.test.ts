import { describe, expect, it } from "vitest";
import { AddressGuard, AddressGuardError } from "../../../src/net/policy-host/address-guard.ts";

describe("without an allow list", () => {
  const guard = new AddressGuard();

  it.each<[string, string]>([
    ["8.8.8.8", "ordinary"],
    ["1.0.0.1", "ordinary"],
    ["100.63.255.255", "just below carrier-grade NAT"],
    ["100.128.0.0", "just above carrier-grade NAT"],
    ["172.32.0.0", "just above 172.16/12"],
    ["198.20.0.0", "just above benchmarking"],
    ["223.255.255.255", "just below multicast"],
    ["2600::1", "ordinary"],
    ["2a00:1450:4001::1a", "ordinary"],
    ["64:ff9b::808:808", "NAT64 of 8.8.8.8"],
    ["2002:808:808::1", "6to4 of 8.8.8.8"],
  ])("%s may be contacted: %s", (address) => {
    expect(guard.allows(address)).toBe(true);
  });

  it.each<[string, string]>([
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "this network"],
    ["10.1.2.3", "private"],
    ["100.64.0.1", "carrier-grade NAT"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["169.254.169.254", "cloud metadata, link-local"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.0.0.8", "IETF protocol assignments"],
    ["192.0.2.1", "documentation"],
    ["192.88.99.1", "6to4 relay anycast, withdrawn"],
    ["192.168.1.1", "private"],
    ["198.18.0.1", "benchmarking"],
    ["198.19.255.255", "benchmarking"],
    ["198.51.100.1", "documentation"],
    ["203.0.113.1", "documentation"],
    ["224.0.0.1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["::7f00:1", "IPv4-compatible, withdrawn"],
    ["::ffff:127.0.0.1", "IPv4-mapped loopback"],
    ["::ffff:8.8.8.8", "IPv4-mapped is never on the wire"],
    ["::ffff:0:127.0.0.1", "IPv4-translated"],
    ["64:ff9b::7f00:1", "NAT64 of loopback"],
    ["64:ff9b::a9fe:a9fe", "NAT64 of cloud metadata"],
    ["64:ff9b:1::808:808", "NAT64 for local use"],
    ["100::1", "discard only"],
    ["2001::1", "Teredo"],
    ["2001:2::1", "benchmarking"],
    ["2001:10::1", "ORCHID, withdrawn"],
    ["2001:db8::1", "documentation"],
    ["2002:7f00:1::1", "6to4 of loopback"],
    ["2002:a00:1::1", "6to4 of a private address"],
    ["3fff::1", "documentation"],
    ["4000::1", "not given out"],
    ["5f00::1", "segment routing"],
    ["fc00::1", "unique local"],
    ["fd00:ec2::254", "cloud metadata, unique local"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local with a zone"],
    ["fec0::1", "site-local, withdrawn"],
    ["ff02::1", "multicast"],
    ["", "no address"],
    ["mta-sts.example.com", "no address"],
    ["2130706433", "loopback as one number"],
    ["0x7f.1", "loopback in hexadecimal"],
    ["127.1", "loopback in short"],
  ])("%s is refused: %s", (address) => {
    expect(guard.allows(address)).toBe(false);
  });
});

describe("an allow list", () => {
  const guard = new AddressGuard(["10.1.0.0/16", "192.168.7.7", "fd00:1::/32", "::1"]);

  it.each([
    ["10.1.2.3", true],
    ["10.2.0.0", false],
    ["192.168.7.7", true],
    ["192.168.7.8", false],
    ["fd00:1::5", true],
    ["fd00:2::5", false],
    ["::1", true],
    ["::2", false],
    ["8.8.8.8", true],
    ["::ffff:10.1.2.3", false], // Opens the IPv4 address, not its disguises.
  ])("of ranges and single addresses: %s → %s", (address, allowed) => {
    expect(guard.allows(address)).toBe(allowed);
  });

  it.each(["10.0.0.0/33", "10.0.0.0/", "loopback", "", "::/129"])("with %j is refused", (range) => {
    expect(() => new AddressGuard([range])).toThrow(AddressGuardError);
  });
});
