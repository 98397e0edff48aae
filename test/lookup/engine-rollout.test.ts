/** Domains that a map's rollout holds back, in an engine that knows other maps too. */
import { describe, expect, it } from "vitest";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import { StoreError } from "../../src/store/store.ts";
import { MINUTE } from "../helpers/clock.ts";
import { fixedDane } from "../helpers/dane-source.ts";
import { secure, startWorld } from "../helpers/world.ts";

/** At 34.8% of all. */
const D = "gmail.com";

const profile = (change: Partial<MapProfile>): MapProfile => ({
  attributes: "3.4",
  dane: "yield",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout: 34,
  ...change,
});

function refuse(): never {
  throw new StoreError("io", "disk on fire");
}

describe("a domain that is held back", () => {
  it("is NOTFOUND under the map that holds it back, and enforced under others", async () => {
    await using world = await startWorld();
    world.publish(D);
    const heldBack = profile({});
    expect(await world.engine.lookup(D, heldBack)).toEqual({ status: "NOTFOUND", isHeldBack: true });
    expect(await world.ask(D)).toBe(secure(D));
    expect(world.engine.lookup(D, profile({ rollout: 35 }))).toMatchObject({ text: secure(D) });
  });

  it("is told of when the answer is made, and not when it is repeated", async () => {
    await using world = await startWorld();
    world.publish(D);
    const heldBack = profile({});
    await world.engine.lookup(D, heldBack);
    const reply = world.engine.lookup(D, heldBack);
    expect(world.engine.lookup(D, heldBack)).toBe(reply);
    expect(world.events.heldBack).toEqual([D]);
  });

  it.each([
    ["testing", "notfound", { status: "NOTFOUND" }],
    ["testing", "enforce", { status: "NOTFOUND", isHeldBack: true }],
    ["none", "enforce", { status: "NOTFOUND" }],
  ] as const)("with a policy in mode %s under testing: %s is %j", async (mode, testing, reply) => {
    await using world = await startWorld();
    world.publish(D, { mode });
    expect(await world.engine.lookup(D, profile({ testing }))).toEqual(reply);
  });

  it.each([
    ["yield", "some", { status: "NOTFOUND" }],
    ["yield", "insecure-mx", { status: "NOTFOUND", isHeldBack: true }],
    ["dane-only", "all", { status: "OK", text: "dane-only", shortText: "dane-only" }],
    ["dane-only", "insecure-mx", { status: "OK", text: "dane", shortText: "dane", isHeldBack: true }],
    ["ignore", "all", { status: "NOTFOUND", isHeldBack: true }],
  ] as const)("is under dane: %s with DANE %s as without a policy", async (dane, kind, reply) => {
    await using world = await startWorld({ dane: fixedDane({ kind }) });
    world.publish(D);
    expect(await world.engine.lookup(D, profile({ dane }))).toEqual(reply);
  });

  it("is never deferred because DNS cannot be asked for its policy", async () => {
    await using world = await startWorld();
    world.dns.behave("*", "servfail");
    const defer = (rollout: number) => world.engine.lookup(D, profile({ dnsFailure: "defer", rollout }));
    expect(await defer(34)).toEqual({ status: "NOTFOUND" });
    expect(await defer(35)).toMatchObject({ status: "TEMP" });
  });

  it.each([
    ["", 20_000],
    [" at the deadline", 20],
  ])("is never deferred because the cache cannot be read%s", async (_, deadline) => {
    await using world = await startWorld({
      engine: { deadline },
      wrapStore: (store) =>
        new Proxy(store, {
          get: (target, key) => (key === "get" ? refuse : Reflect.get(target, key).bind(target)),
        }),
    });
    if (deadline === 20) world.dns.behave("*", "drop");
    expect(await world.engine.lookup(D, profile({}))).toEqual({ status: "NOTFOUND" });
    expect(await world.engine.lookup(D, profile({ rollout: 35 }))).toMatchObject({ status: "TEMP" });
  });

  it("is not deferred for a policy that Postfix cannot be told", async () => {
    await using world = await startWorld();
    world.publish(D, { mx: ["nexthop"] });
    expect(await world.engine.lookup(D, profile({}))).toEqual({ status: "NOTFOUND", isHeldBack: true });
    expect(await world.engine.lookup(D, profile({ rollout: 100 }))).toMatchObject({ status: "TEMP" });
  });

  it("has its policy kept fresh, so that it is there when the rollout comes to it", async () => {
    await using world = await startWorld();
    world.publish(D);
    const heldBack = profile({});
    await world.engine.lookup(D, heldBack);
    world.publish(D, { id: "2", mx: ["mx2.example"] });
    world.clock.advance(6 * MINUTE);
    const resolved = world.nextResolution(D);
    void world.engine.lookup(D, heldBack);
    await resolved;
    expect(world.engine.lookup(D, profile({ rollout: 100 }))).toMatchObject({
      text: secure(D, "mx2.example"),
    });
  });
});
