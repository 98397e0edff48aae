/** What a lookup answers, row by row, and what it costs. */
import { expect, it, describe } from "vitest";
import { DnsError } from "../../src/net/dns/resolver.ts";
import { FetchError } from "../../src/net/policy-host/policy-fetcher.ts";
import { NOT_FOUND } from "../../src/policy/reply.ts";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import { Question } from "../../src/lookup/question.ts";
import { HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { NO_DANE } from "../../src/lookup/dane/dane-source.ts";

const POSTFIX: MapProfile = {
  attributes: "3.4",
  dane: "yield",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout: 100,
};

describe("a domain never heard of", () => {
  const rows: readonly [string, (world: World) => void, string][] = [
    ["enforce", (world) => world.publish("d.example"), secure("d.example")],
    ["testing", (world) => world.publish("d.example", { mode: "testing" }), "NOTFOUND"],
    ["none", (world) => world.publish("d.example", { mode: "none", mx: [] }), "NOTFOUND"],
    ["no record", () => {}, "NOTFOUND"],
    [
      "an invalid record",
      (world) => {
        world.publish("d.example");
        world.dns.zone.txt("_mta-sts.d.example", "v=STSv1; id=;");
      },
      "NOTFOUND",
    ],
    [
      "two records",
      (world) => {
        world.publish("d.example");
        world.dns.zone.txt("_mta-sts.d.example", ["v=STSv1; id=1;", "v=STSv1; id=2;"]);
      },
      "NOTFOUND",
    ],
    ["a record and no policy", (world) => world.publishRecord("d.example", "1"), "NOTFOUND"],
    ["DNS that fails", (world) => world.dns.behave("_mta-sts.d.example", "servfail"), "NOTFOUND"],
  ];

  it.each(rows)("with %s", async (_, prepare, reply) => {
    await using world = await startWorld();
    prepare(world);
    expect(await world.ask("d.example")).toBe(reply);
    expect(world.askNow("d.example"), "the second time from memory").toBe(reply);
    expect(world.recordQueries("d.example")).toBe(1);
  });

  it("is answered with the 3.10 attributes where the map has them", async () => {
    await using world = await startWorld();
    world.publish("d.example", { mx: ["*.d.example"] });
    expect(await world.ask("d.example", "postfix310")).toBe(
      "secure match=.d.example servername=hostname policy_type=sts policy_domain=d.example " +
        "{ policy_string = version: STSv1 } { policy_string = mode: enforce } { policy_string = mx: *.d.example } " +
        "{ policy_string = max_age: 604800 } mx_host_pattern=*.d.example",
    );
  });

  it("has its testing policy enforced by a map that says so", async () => {
    await using world = await startWorld();
    world.publish("d.example", { mode: "testing" });
    const reply = await world.engine.lookup("d.example", { ...POSTFIX, testing: "enforce" });
    expect(reply).toMatchObject({ status: "OK", text: secure("d.example") });
  });

  it("is deferred with the reason by a map that defers when DNS fails", async () => {
    await using world = await startWorld();
    world.dns.behave("_mta-sts.d.example", "servfail");
    const reply = await world.engine.lookup("d.example", { ...POSTFIX, dnsFailure: "defer" });
    expect(reply).toMatchObject({ status: "TEMP", reason: expect.stringContaining("_mta-sts.d.example") });
  });

  it("is reported when its policy cannot be had", async () => {
    await using world = await startWorld();
    world.publishRecord("d.example", "7");
    await world.ask("d.example");
    expect(world.events.resolved).toMatchObject([
      {
        trigger: "query",
        outcome: { kind: "fetch-failure", recordId: "7", error: { reason: "no-address" } },
      },
    ]);
  });
});

it.each(["192.0.2.1", "[192.0.2.1]", ".example.com", "/var/run/lmtp", "\xff.example", "localhost", ""])(
  "what is no domain (%j) is not found at once, with no DNS",
  async (key) => {
    await using world = await startWorld();
    expect(world.service.lookup(new Question("postfix", key))).toBe(NOT_FOUND);
    expect(world.dns.log).toEqual([]);
  },
);

describe("the deadline", () => {
  it("answers NOTFOUND, and the resolution goes on", async () => {
    await using world = await startWorld({ engine: { deadline: 20 } });
    world.publish("d.example");
    world.dns.behave("_mta-sts.d.example", { delayMs: 200 });
    const resolved = world.nextResolution("d.example");
    expect(await world.ask("d.example")).toBe("NOTFOUND");
    expect(world.events.deadlines).toEqual(["d.example"]);
    await resolved;
    expect(world.askNow("d.example")).toBe(secure("d.example"));
  });

  it("passes for a policy host that does not answer", async () => {
    await using world = await startWorld({ engine: { deadline: 50 } });
    world.publish("d.example");
    world.host.respond("d.example", { body: () => {} });
    expect(await world.ask("d.example")).toBe("NOTFOUND");
  });
});

describe("a negative answer", () => {
  const rows: readonly [string, number, number][] = [
    ["of 0 s is kept for a minute", 0, MINUTE],
    ["of 10 min is kept for that", 600, 10 * MINUTE],
    ["of a day is kept for an hour", 86_400, HOUR],
  ];

  it.each(rows)("%s", async (_, minimum, kept) => {
    await using world = await startWorld();
    world.dns.zone.negative = { ttl: 86_400, minimum };
    await world.ask("d.example");
    world.clock.advance(kept - 1);
    expect(world.askNow("d.example")).toBe("NOTFOUND");
    expect(world.recordQueries("d.example")).toBe(1);
    world.publish("d.example");
    world.clock.advance(1);
    expect(await world.ask("d.example")).toBe(secure("d.example"));
  });

  it("without SOA is kept for a minute", async () => {
    await using world = await startWorld();
    world.dns.behave("_mta-sts.d.example", "no-soa");
    await world.ask("d.example");
    world.clock.advance(MINUTE - 1);
    expect(world.askNow("d.example")).toBe("NOTFOUND");
    world.clock.advance(1);
    expect(world.askNow("d.example")).toBeUndefined();
  });

  it("is forgotten on request", async () => {
    await using world = await startWorld();
    await world.ask("d.example");
    world.publish("d.example");
    world.engine.forget("d.example");
    expect(await world.ask("d.example")).toBe(secure("d.example"));
  });
});

it("a failure of DNS is remembered for 30 s", async () => {
  await using world = await startWorld();
  world.publish("d.example");
  world.dns.behave("_mta-sts.d.example", "servfail");
  await world.ask("d.example");
  world.dns.behave("_mta-sts.d.example");
  world.clock.advance(30 * SECOND - 1);
  expect(world.askNow("d.example")).toBe("NOTFOUND");
  world.clock.advance(1);
  expect(await world.ask("d.example")).toBe(secure("d.example"));
});

function broken(): never {
  throw new TypeError("a mistake");
}

describe("a fault of our own is TEMP and never a rejection", () => {
  it("in the resolver", async () => {
    await using world = await startWorld({ resolver: { resolve: broken } });
    expect(await world.ask("d.example")).toBe("TEMP stsmapd failed on d.example: see its log");
    expect(world.events.faults).toMatchObject([{ message: "a mistake" }]);
  });

  it("in the fetcher", async () => {
    await using world = await startWorld({ fetcher: { fetch: broken } });
    world.publish("d.example");
    expect(await world.ask("d.example")).toMatch(/^TEMP /);
  });

  it("in the store's reading", async () => {
    await using world = await startWorld({ wrapStore: (store) => Object.assign(store, { get: broken }) });
    expect(await world.ask("d.example")).toMatch(/^TEMP /);
  });

  it("in the discovery of DANE", async () => {
    await using world = await startWorld({ dane: { ...NO_DANE, find: broken, atHand: broken } });
    world.publish("d.example");
    expect(await world.ask("d.example")).toMatch(/^TEMP /);
    expect(world.askNow("d.example"), "at once").toMatch(/^TEMP /);
  });

  it("but a policy that could not be written because of one is answered from memory", async () => {
    await using world = await startWorld({ wrapStore: (store) => Object.assign(store, { put: broken }) });
    world.publish("d.example");
    expect(await world.ask("d.example")).toBe(secure("d.example"));
    expect(world.events.faults).toHaveLength(1);
  });

  it("and is not remembered", async () => {
    let isBroken = true;
    const resolve = async () => {
      if (isBroken) broken();
      throw new DnsError("servfail", "no luck");
    };
    await using world = await startWorld({ resolver: { resolve } });
    await world.ask("d.example");
    isBroken = false;
    expect(await world.ask("d.example")).toBe("NOTFOUND");
  });

  it("and does not end the process when the domain is forgotten meanwhile", async () => {
    await using world = await startWorld({ resolver: { resolve: async () => broken() } });
    const reply = world.ask("d.example");
    world.engine.forget("d.example");
    expect(await reply).toMatch(/^TEMP /);
  });
});

it("that we have too much to do is no absence: it is tried again soon, and is TEMP where a map wants that", async () => {
  const trace = { url: "https://mta-sts.d.example/", durationMs: 0 };
  const overloaded = new FetchError("sts-policy-fetch-error", "overloaded", "4096 fetches wait", trace);
  await using world = await startWorld({ fetcher: { fetch: () => Promise.reject(overloaded) } });
  world.publish("d.example", { ttl: 86_400 });
  const profile: MapProfile = {
    attributes: "3.4",
    dane: "ignore",
    testing: "notfound",
    dnsFailure: "defer",
    rollout: 100,
  };
  const deferred = { status: "TEMP", reason: "4096 fetches wait" };
  expect(await world.engine.lookup("d.example", profile)).toEqual(deferred);
  expect(world.engine.lookup("d.example", profile), "not asked again for each lookup").toEqual(deferred);
  expect(world.recordQueries("d.example")).toBe(1);
  world.clock.advance(30_000);
  expect(await world.engine.lookup("d.example", profile)).toEqual(deferred);
  expect(world.recordQueries("d.example")).toBe(2);
});
