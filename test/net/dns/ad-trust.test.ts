import { describe, expect, it } from "vitest";
import { type AdTrust, checkValidation, trustsAd } from "../../../src/net/dns/ad-trust.ts";
import { DnsClient } from "../../../src/net/dns/client.ts";
import { startDnsServer } from "../../helpers/dns-server.ts";

describe("trustsAd", () => {
  it.each<[setting: AdTrust, hosts: string[], declared: boolean, expected: boolean, reason: string]>([
    ["auto", ["127.0.0.1"], false, true, "loopback"],
    ["auto", ["127.0.0.53"], false, true, "all of 127/8"],
    ["auto", ["::1"], false, true, "IPv6 loopback"],
    ["auto", ["::ffff:127.0.0.1"], false, true, "mapped"],
    ["auto", ["127.0.0.1", "::1"], false, true, "both"],
    ["auto", ["127.0.0.1", "192.0.2.1"], false, false, "one is elsewhere"],
    ["auto", ["10.0.0.1"], false, false, "private is not loopback"],
    ["auto", ["fe80::1%eth0"], false, false, "nor is the link"],
    ["auto", ["192.0.2.1"], true, true, "trust-ad"],
    ["auto", [], false, false, "no server"],
    ["always", ["192.0.2.1"], false, true, "so configured"],
    ["never", ["127.0.0.1"], true, false, "so configured"],
  ])("%s, %j, trust-ad %s → %s (%s)", (setting, hosts, declared, expected) => {
    const servers = hosts.map((host) => ({ host, port: 53 }));
    expect(trustsAd(setting, servers, declared)).toBe(expected);
  });
});

describe("checkValidation", () => {
  it("tells a resolver that validates from one that does not, and from one that does not answer", async () => {
    await using dns = await startDnsServer();
    const client = new DnsClient({
      servers: () => [{ host: dns.address, port: dns.port }],
      timeoutMs: 5000,
      attempts: 1,
    });
    dns.zone.soa(".");
    await expect(checkValidation(client)).resolves.toEqual({ state: "not-validating" });
    dns.zone.secure(".");
    await expect(checkValidation(client)).resolves.toEqual({ state: "validating" });
    dns.behave(".", "servfail");
    await expect(checkValidation(client)).resolves.toMatchObject({
      state: "unknown",
      error: { code: "servfail" },
    });
    dns.zone.soa("signed.example");
    await expect(checkValidation(client, { name: "signed.example" })).resolves.toEqual({
      state: "validating",
    });
  });
});
