/** A policy is on disk before Postfix is told of it, and a store that fails stops no answer. */
import { expect, it } from "vitest";
import { MINUTE } from "../helpers/clock.ts";
import { secure, startWorld } from "../helpers/world.ts";
import type { KnownDaneKind } from "../../src/policy/verdict.ts";
import { StoreError, type Entry, type PolicyStore } from "../../src/store/store.ts";
import { failing, type Failing } from "../store/failing-store.ts";
import { NO_DANE, type DaneSource, type KnownDane } from "../../src/lookup/dane/dane-source.ts";

const D = "d.example";

/** A store whose `put` waits until it is let go. */
function holding(inner: PolicyStore): { store: PolicyStore; held: Promise<Entry>; letGo: () => void } {
  const arrived = Promise.withResolvers<Entry>();
  const gate = Promise.withResolvers<void>();
  const put = inner.put.bind(inner);
  inner.put = async (entry, dane) => {
    arrived.resolve(entry);
    await gate.promise;
    return put(entry, dane);
  };
  return { store: inner, held: arrived.promise, letGo: gate.resolve };
}

it("a reply waits for its policy to be written", async () => {
  let hold: ReturnType<typeof holding> | undefined;
  await using world = await startWorld({ wrapStore: (inner) => (hold = holding(inner)).store });
  world.publish(D);
  let isTold = false;
  const reply = world.ask(D).finally(() => (isTold = true));
  expect((await hold!.held).pin?.recordId).toBe("1");
  expect(world.askNow(D), "nobody else is told either").toBeUndefined();
  await new Promise(setImmediate);
  expect(isTold).toBe(false);
  hold!.letGo();
  expect(await reply).toBe(secure(D));
  expect(world.store.get(D)?.pin?.recordId).toBe("1");
});

it("a new id is told of when it is written, the old one meanwhile", async () => {
  let hold: ReturnType<typeof holding> | undefined;
  await using world = await startWorld();
  world.publish(D);
  await world.ask(D);
  hold = holding(world.store);
  world.publish(D, { id: "2", mx: ["new.example"] });
  world.clock.advance(5 * MINUTE);
  const resolved = world.nextResolution(D);
  world.askNow(D);
  await hold.held;
  expect(world.askNow(D)).toBe(secure(D));
  hold.letGo();
  await resolved;
  expect(world.askNow(D)).toBe(secure(D, "new.example"));
});

it("a write that hangs is waited for no longer than the commit time-out", async () => {
  await using world = await startWorld({
    engine: { commitTimeout: 20 },
    wrapStore: (inner) => holding(inner).store,
  });
  world.publish(D);
  expect(await world.ask(D)).toBe(secure(D));
  expect(world.events.storeFailures).toEqual([`write ${D}: busy`]);
});

it("a write that fails is reported, answered from memory, and made up for at the next check", async () => {
  let plan: Failing | undefined;
  await using world = await startWorld({ wrapStore: (inner) => (plan = failing(inner)).store });
  world.publish(D);
  plan!.fail("put", "full");
  expect(await world.ask(D)).toBe(secure(D));
  expect(world.askNow(D)).toBe(secure(D));
  expect(world.events.storeFailures).toEqual([`write ${D}: full`]);
  expect(world.store.get(D)).toBeUndefined();
  world.clock.advance(5 * MINUTE);
  await world.recheck(D);
  expect(world.store.get(D)?.pin?.recordId).toBe("1");
});

it("a row that cannot be read is not taken for one that is not there", async () => {
  let plan: Failing | undefined;
  await using world = await startWorld({
    engine: { memoryEntries: 1 },
    wrapStore: (inner) => (plan = failing(inner)).store,
  });
  world.publish(D);
  await world.ask(D);
  await world.ask("other.example");
  world.withdrawRecord(D);
  plan!.fail("get", "busy", 1, 2);
  expect(await world.ask(D)).toBe(`TEMP the cache cannot be read, and may hold a policy of ${D}`);
  expect(world.events.storeFailures).toEqual([`read ${D}: busy`, `read ${D}: busy`]);
  expect(world.askNow(D), "once the store can be read again").toBe(secure(D));
});

it("a row that cannot be read is not taken for one that is not there at the deadline either", async () => {
  let plan: Failing | undefined;
  await using world = await startWorld({
    engine: { deadline: 20 },
    resolver: { resolve: () => new Promise(() => {}) },
    wrapStore: (inner) => (plan = failing(inner)).store,
  });
  plan!.fail("get", "io", 1, Infinity);
  expect(await world.ask(D)).toBe(`TEMP the cache cannot be read, and may hold a policy of ${D}`);
});

it("a policy whose refresh came to nothing is due when it was before", async () => {
  await using world = await startWorld();
  world.publish(D);
  await world.ask(D);
  const planned = world.store.get(D)?.pin?.renewAt;
  world.host.respond(D, { status: 500 });
  await world.engine.refetch(D);
  expect(world.store.get(D)?.failure).toBeDefined();
  expect(world.store.get(D)?.pin?.renewAt).toBe(planned);
  world.withdrawRecord(D);
  await world.engine.refetch(D);
  expect(world.store.get(D)?.pin?.renewAt).toBe(planned);
});

it("what DNS says of a domain without policy is not written", async () => {
  await using world = await startWorld();
  await world.ask(D);
  expect(world.store.get(D)).toBeUndefined();
});

it("use is written once a minute at most", async () => {
  const touches: [string, number][] = [];
  await using world = await startWorld({
    wrapStore: (inner) =>
      Object.assign(inner, { touch: (...touch: [string, number]) => touches.push(touch) }),
  });
  world.publish(D, { ttl: 86_400 });
  await world.ask(D);
  for (let i = 0; i < 100; i++) world.askNow(D);
  expect(touches).toEqual([]);
  world.clock.advance(MINUTE);
  for (let i = 0; i < 100; i++) world.askNow(D);
  expect(touches).toEqual([[D, world.clock.now()]]);
});

it("a store that was closed is an error like any other", async () => {
  await using world = await startWorld();
  world.publish(D);
  await world.store.close();
  expect(await world.ask(D)).toBe(secure(D));
  expect(world.events.storeFailures).toContain(`write ${D}: ${new StoreError("closed", "").code}`);
});

it("a reply waits for the DANE state it rests on to be written too, after its policy", async () => {
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const known: KnownDane = { state: { kind: "none" }, until: Infinity };
  const dane: DaneSource = {
    ...NO_DANE,
    find: async () => known,
    async keep(domain, kept) {
      order.push(`${kept.state.kind} of ${domain}, policy ${world.store.get(domain)?.pin?.recordId}`);
      await gate.promise;
      order.push("written");
    },
  };
  await using world = await startWorld({ dane });
  world.publish(D);
  const reply = world.ask(D).finally(() => order.push("told"));
  await expect.poll(() => order).toEqual([`none of ${D}, policy 1`]);
  gate.resolve();
  expect(await reply).toBe(secure(D));
  expect(order.slice(1)).toEqual(["written", "told"]);
});

it("a DANE state whose write hangs or fails is waited for no longer than the commit time-out, and reported", async () => {
  const known: KnownDane = { state: { kind: "none" }, until: Infinity };
  const keeps = [() => new Promise<void>(() => {}), () => Promise.reject(new StoreError("full", "no room"))];
  for (const keep of keeps) {
    const dane = { ...NO_DANE, find: () => known, keep };
    await using world = await startWorld({ dane, engine: { commitTimeout: 20 } });
    world.publish(D);
    expect(await world.ask(D)).toBe(secure(D));
    expect(world.events.storeFailures).toEqual([expect.stringMatching(`write ${D}: (busy|full)`)]);
  }
});

it("nobody waits for the disk again where the policy itself could not be written in time", async () => {
  let kept = 0;
  const keep = () => {
    kept++;
    return new Promise<void>(() => {});
  };
  const dane = { ...NO_DANE, find: (): KnownDane => ({ state: { kind: "none" }, until: Infinity }), keep };
  await using world = await startWorld({
    dane,
    engine: { commitTimeout: 100, deadline: 10_000 },
    wrapStore: (inner) => Object.assign(inner, { put: () => Promise.reject(new StoreError("full", "")) }),
  });
  world.publish(D);
  expect(await world.ask(D)).toBe(secure(D));
  expect([kept, world.events.storeFailures]).toEqual([1, [`write ${D}: full`]]);
});

it("each policy of a domain takes a DANE state along that is known already", async () => {
  const dane: DaneSource = { ...NO_DANE, withPolicy: () => "none" };
  const puts: unknown[] = [];
  await using world = await startWorld({
    dane,
    wrapStore(inner) {
      const put = inner.put.bind(inner);
      return Object.assign(inner, {
        put(row: Entry, kind?: KnownDaneKind) {
          puts.push([row.pin?.recordId, kind]);
          return put(row, kind);
        },
      });
    },
  });
  world.publish(D);
  await world.ask(D);
  expect(world.store.lastDane(D)).toBe("none");
  world.publish(D, { id: "2" });
  world.clock.advance(5 * MINUTE);
  await world.recheck(D);
  expect(puts).toEqual([
    ["1", "none"],
    ["2", "none"],
  ]);
});

it("so a state is not lost where the row was deleted while a policy was fetched, and none is replaced", async () => {
  const dane: DaneSource = { ...NO_DANE, withPolicy: () => "none" };
  const cases = [
    { isDeleted: true, isForgottenFirst: true },
    // Another process deletes, which is noticed only after a while.
    { isDeleted: true, isForgottenFirst: false },
    { isDeleted: false, isForgottenFirst: true },
  ];
  for (const { isDeleted, isForgottenFirst } of cases) {
    await using world = await startWorld({ dane });
    world.publish(D);
    await world.ask(D);
    world.publish(D, { id: "2" });
    world.dns.behave("*", { delayMs: 50 });
    world.clock.advance(5 * MINUTE);
    const resolved = world.nextResolution(D);
    world.askNow(D);
    if (isDeleted) await world.store.delete(D);
    else await world.store.noteDane(D, "all");
    if (isForgottenFirst) world.engine.forget(D);
    await resolved;
    world.engine.forget(D);
    expect([world.store.get(D)?.pin?.recordId, world.store.lastDane(D)]).toEqual([
      "2",
      isDeleted ? "none" : "all",
    ]);
  }
});
