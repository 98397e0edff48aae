/** DANE goes first, as each map wants it (RFC 8461 §2). */
import { describe, expect, it } from "vitest";
import { NO_DANE } from "../../src/lookup/dane/dane-source.ts";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import type { DaneState, KnownDaneKind } from "../../src/policy/verdict.ts";
import { fixedDane, startDaneSource } from "../helpers/dane-source.ts";
import { checkReply } from "../helpers/postfix-grammar.ts";
import { MINUTE } from "../helpers/clock.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { entry, pin } from "../store/entries.ts";

const D = "d.example";

const none: DaneState = { kind: "none" };
const some: DaneState = { kind: "some" };
const all: DaneState = { kind: "all" };
const unknown: DaneState = { kind: "unknown", reason: "TLSA of mx.d.example: SERVFAIL" };
const unknownAfter = (lastKnown: KnownDaneKind): DaneState => ({ ...unknown, lastKnown });

async function ask(world: World, dane: MapProfile["dane"]): Promise<string> {
  const profile: MapProfile = {
    attributes: "3.4",
    dane,
    testing: "notfound",
    dnsFailure: "notfound",
    rollout: 100,
  };
  const reply = await world.engine.lookup(D, profile);
  checkReply(reply, "3.4");
  if (reply.status === "OK") return reply.text;
  return reply.status === "TEMP" ? `TEMP ${reply.reason}` : reply.status;
}

const SECURE = secure(D);
const DEFERRED = "TEMP TLSA of mx.d.example: SERVFAIL";

// Per DANE finding: what `yield`, `dane-only` and `ignore` answer with an enforce policy, and `dane-only` without a policy.
const rows: readonly [string, DaneState, string, string, string, string][] = [
  ["none", none, SECURE, SECURE, SECURE, "NOTFOUND"],
  ["some", some, "NOTFOUND", "dane", SECURE, "dane"],
  ["all", all, "NOTFOUND", "dane-only", SECURE, "dane-only"],
  ["insecure-mx", { kind: "insecure-mx" }, SECURE, SECURE, SECURE, "dane"],
  ["unknown", unknown, "NOTFOUND", DEFERRED, SECURE, DEFERRED],
  ["unknown, last none", unknownAfter("none"), SECURE, DEFERRED, SECURE, DEFERRED],
  ["unknown, last some", unknownAfter("some"), "NOTFOUND", DEFERRED, SECURE, DEFERRED],
  ["unknown, last all", unknownAfter("all"), "NOTFOUND", DEFERRED, SECURE, DEFERRED],
];

describe.each(rows)("with DANE %s", (_, finding, yielding, daneOnly, ignoring, withoutPolicy) => {
  it("found at once", async () => {
    await using world = await startWorld({ dane: fixedDane(finding) });
    expect(await ask(world, "dane-only")).toBe(withoutPolicy);
    world.engine.forget(D);
    world.publish(D);
    expect(await ask(world, "yield")).toBe(yielding);
    expect(await ask(world, "dane-only")).toBe(daneOnly);
    expect(await ask(world, "ignore")).toBe(ignoring);
  });

  it("found later", async () => {
    const dane = startDaneSource();
    await using world = await startWorld({ dane });
    world.publish(D);
    const replies = [ask(world, "yield"), ask(world, "dane-only"), ask(world, "ignore")];
    await dane.asked;
    dane.answer(finding);
    expect(await Promise.all(replies)).toEqual([yielding, daneOnly, ignoring]);
  });
});

it("a map that yields asks for DANE only where a policy would be enforced", async () => {
  const dane = startDaneSource();
  await using world = await startWorld({ dane });
  expect(await ask(world, "yield")).toBe("NOTFOUND");
  world.publish(D, { mode: "testing" });
  world.engine.forget(D);
  expect(await ask(world, "yield")).toBe("NOTFOUND");
  expect(await ask(world, "ignore")).toBe("NOTFOUND");
});

it("a map that wants DANE for every domain asks for it beside the record", async () => {
  const dane = startDaneSource();
  await using world = await startWorld({ dane });
  world.dns.behave("*", "drop");
  void ask(world, "dane-only");
  await dane.asked;
  expect(world.events.resolved).toEqual([]);
});

it("at the deadline DANE is unknown, and an enforce policy yields to it", async () => {
  await using world = await startWorld({ dane: startDaneSource(), engine: { deadline: 200 } });
  world.publish(D);
  expect(await ask(world, "yield")).toBe("NOTFOUND");
  expect(await ask(world, "dane-only")).toBe(`TEMP DANE state of ${D} unknown: no answer in time`);
  expect(world.events.deadlines).toEqual([D, D]);
});

it("at the deadline what was last known of DANE stands in, so that slow DNS does not lift an enforce policy", async () => {
  const dane = { ...startDaneSource(), atHand: () => unknownAfter("none") };
  await using world = await startWorld({ dane, engine: { deadline: 20 } });
  const held = pin({ fetchedAt: world.clock.now(), mx: [`mx.${D}`] });
  await world.store.put(entry(D, { pin: held, checkAt: world.clock.now() + MINUTE }));
  expect(await ask(world, "yield")).toBe(SECURE);
  expect(await ask(world, "dane-only")).toBe(DEFERRED);
});

it("the answer is given anew when what DANE says has run out", async () => {
  let state: DaneState = none;
  await using world = await startWorld({
    dane: { ...NO_DANE, find: () => ({ state, until: world.clock.now() + MINUTE }) },
  });
  world.publish(D);
  const profile: MapProfile = {
    attributes: "3.4",
    dane: "yield",
    testing: "notfound",
    dnsFailure: "notfound",
    rollout: 100,
  };
  expect(await world.engine.lookup(D, profile)).toMatchObject({ text: SECURE });
  state = all;
  world.clock.advance(MINUTE - 1);
  expect(world.engine.lookup(D, profile)).toMatchObject({ text: SECURE });
  world.clock.advance(1);
  expect(world.engine.lookup(D, profile)).toEqual({ status: "NOTFOUND" });
});
