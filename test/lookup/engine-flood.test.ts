/** More unknown domains than are resolved at once. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Stop } from "../../src/lookup/deadline.ts";
import type { DnsAnswer, RecordType, Resolver } from "../../src/net/dns/resolver.ts";
import { DnsError } from "../../src/net/dns/resolver.ts";
import type { Reply } from "../../src/policy/reply.ts";
import { MINUTE } from "../helpers/clock.ts";
import { startDaneSource } from "../helpers/dane-source.ts";
import { MAPS, secure, startWorld, type World } from "../helpers/world.ts";
import { entry, pin } from "../store/entries.ts";

const POSTFIX = MAPS.get("postfix")!;
const QUERY = MAPS.get("QUERY")!;

/** A resolver that answers only what it is told to, and then that there is nothing. */
class StubbornResolver implements Resolver {
  readonly asked: string[] = [];
  readonly #waiting = new Map<string, () => void>();

  resolve<T extends RecordType>(name: string, _type: T, signal?: AbortSignal): Promise<DnsAnswer<T>> {
    const domain = name.replace("_mta-sts.", "");
    this.asked.push(domain);
    return new Promise((resolve, reject) => {
      this.#waiting.set(domain, () =>
        resolve({ records: [], nameMissing: true, ttl: 300, canonicalName: name, authenticated: false }),
      );
      const abort = () => reject(new DnsError("aborted", "stopped"));
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort);
    });
  }

  async answer(...domains: readonly string[]): Promise<void> {
    for (const domain of domains) {
      this.#waiting.get(domain)?.();
      for (let turns = 0; turns < 5; turns++) await nextTurn();
    }
  }
}

/** As a function that always gives a promise. */
async function ask(world: World, domain: string, client = new Stop(), profile = POSTFIX): Promise<Reply> {
  return world.engine.lookup(domain, profile, client);
}

function broken(): never {
  throw new Error("broken");
}

const flood = (count: number, name = "flood") =>
  Array.from({ length: count }, (_, index) => `${name}${index}.example`);

it("resolves as many at once as configured, and serves the clients that wait in turn", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 2 } });
  const [flooder, other] = [new Stop(), new Stop()];
  const replies = flood(64).map((domain) => ask(world, domain, flooder));
  const single = ask(world, "single.example", other);
  await nextTurn();
  expect(resolver.asked).toEqual(flood(2));
  expect([world.engine.resolving, world.engine.waiting]).toEqual([2, 63]);
  await resolver.answer("flood0.example", "flood1.example");
  expect(resolver.asked).toEqual([...flood(3), "single.example"]);
  await resolver.answer("single.example");
  expect(await single).toEqual({ status: "NOTFOUND" });
  for (const domain of flood(64)) await resolver.answer(domain);
  expect(await Promise.all(replies)).toEqual(flood(64).map(() => ({ status: "NOTFOUND" })));
  expect([world.engine.resolving, world.engine.waiting]).toEqual([0, 0]);
});

it("resolves nothing any more that nobody waits for, and holds nothing of it", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1, deadline: 20 } });
  const replies = await Promise.all(flood(1_000).map((domain) => ask(world, domain)));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set(["NOTFOUND"]));
  expect(world.events.deadlines).toHaveLength(1_000);
  expect([world.engine.resolving, world.engine.waiting]).toEqual([1, 0]);
  await resolver.answer("flood0.example");
  expect(resolver.asked).toEqual(["flood0.example"]);
  expect(world.engine.resolving).toBe(0);
  expect(world.events.faults).toEqual([]);
});

it("resolves nothing any more that a client has asked for who is gone, and holds nothing of it", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1 } });
  const [first, gone, other] = [new Stop(), new Stop(), new Stop()];
  void ask(world, "first.example", first);
  const shared = ask(world, "flood0.example", other);
  const dropped = flood(10).map((domain) => ask(world, domain, gone));
  expect(world.engine.waiting).toBe(10);
  gone.call();
  expect(world.engine.waiting, "who else waits").toBe(1);
  const again = ask(world, "flood1.example", other);
  expect((await Promise.all(dropped)).map(({ status }) => status)).toEqual(flood(10).map(() => "TEMP"));
  await resolver.answer("first.example", "flood0.example", "flood1.example");
  expect(await Promise.all([shared, again])).toEqual([{ status: "NOTFOUND" }, { status: "NOTFOUND" }]);
  expect(resolver.asked).toEqual(["first.example", "flood0.example", "flood1.example"]);
  expect([world.events.faults, world.events.deadlines]).toEqual([[], []]);
});

it("answers the newest question of whoever asks for most, as at the deadline, when too many wait", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1, mostWaiting: 10 } });
  const [flooder, other] = [new Stop(), new Stop()];
  const replies = flood(10).map((domain) => ask(world, domain, flooder));
  const single = ask(world, "single.example", other);
  expect(await replies[9]).toEqual({ status: "NOTFOUND" });
  expect(await ask(world, "more.example", flooder), "no room for another").toEqual({ status: "NOTFOUND" });
  expect(world.events.turnedAway).toEqual(["flood9.example", "more.example"]);
  expect([world.engine.resolving, world.engine.waiting], "what nobody waits for is dropped").toEqual([1, 9]);
  const shared = ask(world, "flood8.example", new Stop());
  expect(world.engine.waiting, "whoever else waits for the same keeps it").toBe(9);
  expect(world.events.turnedAway.slice(2)).toEqual(["flood8.example"]);
  while (world.engine.resolving > 0) await resolver.answer(resolver.asked.at(-1) ?? "");
  expect(await Promise.all([single, shared])).toEqual([{ status: "NOTFOUND" }, { status: "NOTFOUND" }]);
  expect([...resolver.asked].sort()).toEqual([...flood(9), "single.example"].sort());
  expect([world.events.deadlines, world.events.faults]).toEqual([[], []]);
  expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(flood(10).map(() => "NOTFOUND"));
});

it("bounds the questions for one and the same domain too", async () => {
  await using world = await startWorld({ resolver: new StubbornResolver(), engine: { mostWaiting: 10 } });
  const client = new Stop();
  const replies = Array.from({ length: 100 }, () => ask(world, "d.example", client));
  await Promise.all(replies.slice(10));
  expect(world.events.turnedAway).toHaveLength(90);
});

it("answers by a policy that is held when too many wait for DANE", async () => {
  const unanswered = {
    ...startDaneSource(),
    atHand: () => ({ kind: "unknown", reason: "", lastKnown: "none" }) as const,
  };
  await using world = await startWorld({ dane: unanswered, engine: { mostWaiting: 1 } });
  const held = pin({ fetchedAt: world.clock.now(), mx: ["mx.known.example"] });
  await world.store.put(entry("known.example", { pin: held, checkAt: world.clock.now() + MINUTE }));
  const client = new Stop();
  void ask(world, "known.example", client);
  expect(await ask(world, "known.example", client)).toMatchObject({ text: secure("known.example") });
  expect(world.events.turnedAway).toEqual(["known.example"]);
});

it("answers what memory and store hold at once, whatever waits", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1 } });
  const fresh = pin({ fetchedAt: world.clock.now(), mx: ["mx.known.example"] });
  await world.store.put(entry("known.example", { pin: fresh, checkAt: world.clock.now() + MINUTE }));
  for (const domain of flood(100)) void ask(world, domain);
  expect(world.askNow("known.example")).toBe(secure("known.example"));
});

it("checks known policies again and renews them, whatever waits", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1 } });
  const fresh = pin({ fetchedAt: world.clock.now() });
  for (const domain of ["due.example", "renewed.example"])
    await world.store.put(entry(domain, { pin: fresh, checkAt: world.clock.now() - 1 }));
  for (const domain of flood(100)) void ask(world, domain);
  world.askNow("due.example");
  void world.engine.renew("renewed.example");
  await nextTurn();
  expect(resolver.asked).toEqual(["flood0.example", "due.example", "renewed.example"]);
});

it("bounds the rechecks that wait; those left out are made up for at the next question", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 4 } });
  const known = flood(1_100, "known");
  const fresh = pin({ fetchedAt: world.clock.now() });
  for (const domain of known)
    await world.store.put(entry(domain, { pin: fresh, checkAt: world.clock.now() - 1 }));
  for (const domain of known) expect(world.askNow(domain)).toBeDefined();
  await nextTurn();
  expect([world.engine.resolving, world.engine.waiting]).toEqual([1, 1_000]);
  await resolver.answer("known0.example", "known1.example");
  expect(world.engine.waiting).toBe(998);
  world.askNow("known1099.example");
  expect(world.engine.waiting).toBe(999);
});

it("asks for DANE in the turn of the domain, which lasts until that is known too", async () => {
  const resolver = new StubbornResolver();
  const dane = startDaneSource();
  const asked: string[] = [];
  const find = (domain: string) => {
    asked.push(domain);
    return dane.find(domain, false);
  };
  await using world = await startWorld({ resolver, dane: { ...dane, find }, engine: { concurrency: 1 } });
  const replies = ["a.example", "b.example"].map((domain) => ask(world, domain, undefined, QUERY));
  await nextTurn();
  expect(asked).toEqual(["a.example"]);
  await resolver.answer("a.example");
  expect(resolver.asked, "DANE of the first is not known yet").toEqual(["a.example"]);
  dane.answer({ kind: "none" });
  await nextTurn();
  await resolver.answer("b.example");
  expect(await Promise.all(replies)).toEqual([{ status: "NOTFOUND" }, { status: "NOTFOUND" }]);
});

it("asks for DANE no more than for the rest when whoever waits has given up", async () => {
  const resolver = new StubbornResolver();
  const dane = startDaneSource();
  const asked: string[] = [];
  const find = (domain: string) => {
    asked.push(domain);
    return dane.find(domain, false);
  };
  const engine = { concurrency: 1, deadline: 20 };
  await using world = await startWorld({ resolver, dane: { ...dane, find }, engine });
  const replies = await Promise.all(flood(10).map((domain) => ask(world, domain, undefined, QUERY)));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set(["TEMP"]));
  expect(asked).toEqual(["flood0.example"]);
});

it("goes on to the next domain after a fault of our own", async () => {
  const dane = { ...startDaneSource(), find: broken };
  await using world = await startWorld({ dane, engine: { concurrency: 1 } });
  for (const domain of ["a.example", "b.example"])
    expect(await ask(world, domain, undefined, QUERY)).toMatchObject({
      status: "TEMP",
      reason: expect.stringContaining("failed on"),
    });
  expect([world.engine.resolving, world.events.deadlines]).toEqual([0, []]);
});

it("answers TEMP to whoever waits when we stop, and reports no fault", async () => {
  const resolver = new StubbornResolver();
  await using world = await startWorld({ resolver, engine: { concurrency: 1 } });
  await world.store.put(entry("due.example", { pin: pin({ fetchedAt: world.clock.now() }), checkAt: 0 }));
  const replies = flood(10).map((domain) => ask(world, domain));
  expect(world.askNow("due.example")).toBeDefined();
  world.engine.stop();
  replies.push(ask(world, "late.example"));
  expect(new Set((await Promise.all(replies)).map(({ status }) => status))).toEqual(new Set(["TEMP"]));
  await nextTurn();
  expect([world.engine.resolving, world.engine.waiting]).toEqual([0, 0]);
  expect(world.events.faults).toEqual([]);
});
