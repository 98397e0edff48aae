import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { discoverDane } from "../../src/net/dane/discovery.ts";
import { DnsClient } from "../../src/net/dns/client.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const RECORD = "_mta-sts.example.com";

describe("a TXT answer that is meant to hurt", () => {
  it("of 64 KiB is read over TCP, and what is no record in it is passed over", async () => {
    world.publish("example.com");
    world.dns.zone.txt(RECORD, ["x".repeat(64_000), "v=STSv1; id=1;"]);
    expect(await world.ask("example.com")).toBe(secure("example.com"));
    expect(world.dns.log.some(({ transport }) => transport === "tcp")).toBe(true);
  });

  it("of one record of 64 KiB that begins well is an invalid record", async () => {
    world.dns.zone.txt(RECORD, `v=STSv1; id=1;${"x".repeat(64_000)}`);
    expect(await world.ask("example.com")).toBe("NOTFOUND");
    expect(world.events.resolved.at(-1)?.outcome).toMatchObject({ kind: "no-record" });
  });

  it.each<[count: number, outcome: object, reason: string]>([
    [900, { kind: "no-record", isInvalid: true }, "two are ambiguous already"],
    [1_000, { kind: "dns-failure" }, "with EDNS0 more records than are decoded"],
  ])("of %i records is %j, and nothing is fetched (%s)", async (count, outcome) => {
    world.publish("example.com");
    world.dns.zone.txt(RECORD, records(count));
    expect(await world.ask("example.com")).toBe("NOTFOUND");
    expect(world.events.resolved.at(-1)?.outcome).toMatchObject(outcome);
    expect(world.host.requests("example.com")).toBe(0);
    expect(world.events.faults).toEqual([]);
  });

  it("does not lift a policy that is held", async () => {
    world.publish("example.com", { ttl: 60 });
    await world.ask("example.com");
    for (const attack of [
      () => world.dns.zone.txt(RECORD, `v=STSv1; id=2;${"x".repeat(64_000)}`),
      () => world.dns.zone.txt(RECORD, records(1_000)),
      () => world.dns.zone.cname(RECORD, RECORD),
      () => world.dns.behave(RECORD, "garbage"),
      () => world.dns.behave(RECORD, "truncate", "tcp-eof"),
      () => world.dns.behave(RECORD, "spoof"),
    ]) {
      attack();
      world.clock.advance(3_600_000);
      expect(await world.recheck("example.com")).toBe(secure("example.com"));
    }
    expect(world.host.requests("example.com")).toBe(1);
  });
});

it.each<[count: number, mx: object, hosts: number, reason: string]>([
  [900, { kind: "mx", leftOut: 880 }, 20, "so many hosts are looked at"],
  [1_000, { kind: "unknown" }, 0, "with EDNS0 more records than are decoded"],
])("%i MX records lead to no more questions than hosts that are looked at: %j", async (count, mx, hosts) => {
  const { dns } = world;
  dns.zone.secure(".");
  const names = Array.from({ length: count }, (_, n) => `mx${n}.example.com`);
  dns.zone.mx("example.com", names);
  const servers = [{ host: dns.address, port: dns.port }];
  const resolver = new DnsClient({ servers: () => servers, timeoutMs: 5_000, attempts: 1 });
  const { signal } = new AbortController();
  const limits = { maxHosts: 20, parallel: 4 };
  const finding = await discoverDane("example.com", { resolver, trustAd: true, signal, ...limits });
  expect(finding.mx).toMatchObject(mx);
  expect(finding.hosts).toHaveLength(hosts);
  // MX over UDP and again over TCP, A and AAAA for each host.
  expect(dns.queries()).toBe(2 + 2 * hosts);
});

function records(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `v=STSv1; id=${n};`);
}
