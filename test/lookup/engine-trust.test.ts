/** Trust on first use: a policy once seen holds until it expires or its owner replaces it. */
import { describe, expect, it } from "vitest";
import { DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { type PublishedPolicy, secure, startWorld, type World, type WorldOptions } from "../helpers/world.ts";

const D = "d.example";
const TTL = 300 * SECOND;

/** A world in which the policy of {@link D} is held, and its record is due to be looked up again. */
async function pinned(policy: PublishedPolicy = {}, store: WorldOptions["store"] = "memory"): Promise<World> {
  const world = await startWorld({ store });
  world.publish(D, policy);
  await world.ask(D);
  world.clock.advance(TTL);
  return world;
}

describe("a policy that is held", () => {
  const attacks: readonly [string, (world: World) => void, string][] = [
    ["the record is gone", (world) => world.withdrawRecord(D), "no-record"],
    [
      "the record is not valid",
      (world) => world.dns.zone.txt(`_mta-sts.${D}`, "v=STSv1; id=!;"),
      "no-record",
    ],
    [
      "there are two records",
      (world) => world.dns.zone.txt(`_mta-sts.${D}`, ["v=STSv1; id=1;", "v=STSv1; id=2;"]),
      "no-record",
    ],
    ["DNS fails", (world) => world.dns.behave("*", "servfail"), "dns-failure"],
    [
      "the policy under a new id is gone",
      (world) => {
        world.publish(D, { id: "2" });
        world.host.respond(D, { status: 404 });
      },
      "fetch-failure",
    ],
    [
      "the policy under a new id is not valid",
      (world) => {
        world.publish(D, { id: "2" });
        world.host.serve(D, "version: STSv1\nmode: none\n");
      },
      "fetch-failure",
    ],
    [
      "the policy host is cut off under a new id",
      (world) => {
        world.publish(D, { id: "2", mode: "none" });
        world.host.cut(D);
      },
      "fetch-failure",
    ],
    [
      "the policy host has a certificate of its own making under a new id",
      (world) => {
        world.publish(D, { id: "2", mode: "none" });
        world.host.certificate(D, { names: [`mta-sts.${D}`], selfSigned: true });
      },
      "fetch-failure",
    ],
  ];

  it.each(attacks)("stays when %s", async (_, attack, outcome) => {
    await using world = await pinned();
    attack(world);
    expect(await world.recheck(D)).toBe(secure(D));
    expect(world.events.resolved.at(-1)?.outcome.kind).toBe(outcome);
    expect(world.askNow(D)).toBe(secure(D));
    await world.restart();
    expect(world.askNow(D), "after a restart").toBe(secure(D));
  });

  it("is served through a restart with everything gone", async () => {
    await using world = await pinned({}, "sqlite");
    world.dns.behave("*", "servfail");
    await world.host.stop();
    await world.restart();
    expect(world.askNow(D)).toBe(secure(D));
  });

  it("ends when it expires, and what stands in its way is reported", async () => {
    await using world = await pinned({ maxAge: 3600 });
    world.host.cut(D);
    world.clock.advance(HOUR - TTL - 1);
    expect(await world.recheck(D)).toBe(secure(D));
    expect(world.events.resolved.at(-1)).toMatchObject({
      outcome: { kind: "fetch-failure" },
      pin: { mode: "enforce" },
    });
    world.clock.advance(1);
    expect(await world.recheck(D)).toBe("NOTFOUND");
    expect(world.events.resolved.at(-1)).toMatchObject({ outcome: { kind: "back-off" }, pin: undefined });
    await world.restart();
    expect(await world.ask(D)).toBe("NOTFOUND");
  });

  it("is asked for again with the same id, and not fetched", async () => {
    await using world = await pinned();
    expect(await world.recheck(D)).toBe(secure(D));
    expect(world.events.resolved.at(-1)?.outcome).toEqual({ kind: "current", recordId: "1" });
    expect([world.recordQueries(D), world.host.requests(D)]).toEqual([2, 1]);
  });

  it("does not make anybody wait, not even with a name server that is silent", async () => {
    await using world = await pinned();
    world.dns.behave("*", "drop");
    for (let i = 0; i < 5; i++) expect(world.askNow(D)).toBe(secure(D));
    await world.dns.nextQuery(`_mta-sts.${D}`);
    expect(world.recordQueries(D), "one query however many ask").toBe(2);
  });

  it("gives way once to a new id", async () => {
    await using world = await pinned();
    world.publish(D, { id: "2", mx: ["new.example"] });
    expect(await world.recheck(D), "the old one while the new is fetched").toBe(secure(D));
    expect(world.askNow(D)).toBe(secure(D, "new.example"));
    expect(world.host.requests(D)).toBe(2);
  });

  it.each([
    ["none", "NOTFOUND"],
    ["testing", "NOTFOUND"],
  ] as const)("gives way to mode %s under a new id at once", async (mode, reply) => {
    await using world = await pinned({}, "sqlite");
    world.publish(D, { id: "2", mode });
    await world.recheck(D);
    expect(world.askNow(D)).toBe(reply);
    await world.restart();
    expect(world.askNow(D)).toBe(reply);
  });

  it("goes from testing to enforce within one TTL", async () => {
    await using world = await startWorld();
    world.publish(D, { mode: "testing" });
    await world.ask(D);
    world.publish(D, { id: "2" });
    world.clock.advance(TTL - 1);
    expect(world.askNow(D)).toBe("NOTFOUND");
    world.clock.advance(1);
    await world.recheck(D);
    expect(world.askNow(D)).toBe(secure(D));
  });

  it("is the same object as long as it holds", async () => {
    await using world = await pinned();
    const profile = {
      attributes: "3.4",
      dane: "yield",
      testing: "notfound",
      dnsFailure: "notfound",
      rollout: 100,
    } as const;
    const first = world.engine.lookup(D, profile);
    expect(world.engine.lookup(D, profile), "while a check is under way").toBe(first);
    await world.nextResolution(D);
    const second = world.engine.lookup(D, profile);
    expect(world.engine.lookup(D, profile)).toBe(second);
    expect(second).toEqual(first);
  });

  it("comes back from the store when memory has no room", async () => {
    await using world = await startWorld({ store: "sqlite", engine: { memoryEntries: 1 } });
    world.publish(D);
    await world.ask(D);
    await world.ask("other.example");
    expect(world.askNow(D)).toBe(secure(D));
    expect(world.recordQueries(D)).toBe(1);
  });

  it("is taken from another process that has a newer one, also while a resolution runs", async () => {
    await using world = await pinned();
    world.dns.behave("*", { delayMs: 50 });
    const resolved = world.nextResolution(D);
    const entry = world.store.get(D)!;
    world.askNow(D);
    const pin = { ...entry.pin!, mx: ["newer.example"], recordId: "9", fetchedAt: world.clock.now() };
    await world.store.put({ ...entry, pin, checkedAt: world.clock.now() });
    world.engine.forget(D);
    expect(world.askNow(D)).toBe(secure(D, "newer.example"));
    await resolved;
    await new Promise(setImmediate);
    expect(world.askNow(D), "the older did not overwrite the newer").toBe(secure(D, "newer.example"));
  });
});

it("a policy that is forgotten is not brought back by a resolution that was under way", async () => {
  await using world = await pinned();
  world.dns.behave("*", { delayMs: 50 });
  const resolved = world.nextResolution(D);
  world.askNow(D);
  await world.store.delete(D);
  world.engine.forget(D);
  await resolved;
  await new Promise(setImmediate);
  expect(world.store.get(D)).toBeUndefined();
  expect(world.engine.peek(D)).toBeUndefined();
});

describe("a fetch that failed", () => {
  it("no longer matters when the owner goes back to the id that is held", async () => {
    await using world = await pinned();
    world.publish(D, { id: "2" });
    world.host.cut(D);
    await world.recheck(D);
    expect(world.store.get(D)?.failure?.recordId).toBe("2");
    world.publishRecord(D, "1");
    world.clock.advance(TTL);
    await world.recheck(D);
    expect(world.events.resolved.at(-1)?.outcome).toEqual({ kind: "current", recordId: "1" });
    expect(world.store.get(D)?.failure).toBeUndefined();
  });

  it("is tried again after five minutes, then ten, and so on to six hours, through restarts", async () => {
    await using world = await startWorld({ store: "sqlite", freshness: { recheckMax: MINUTE } });
    world.publish(D);
    world.host.respond(D, { status: 503 });
    await world.ask(D);
    for (const pause of [5, 10, 20, 40, 80, 160, 320, 360, 360]) {
      const fetches = world.host.requests(D);
      world.clock.advance(pause * MINUTE - 1);
      await world.restart();
      expect(await world.ask(D)).toBe("NOTFOUND");
      expect(world.host.requests(D), `${pause} minutes after`).toBe(fetches);
      world.clock.advance(1);
      const resolved = world.nextResolution(D);
      expect(await world.ask(D)).toBe("NOTFOUND");
      await resolved;
      expect(world.host.requests(D), `${pause} minutes later`).toBe(fetches + 1);
    }
  });

  it("is no obstacle to another id", async () => {
    await using world = await startWorld();
    world.publish(D);
    world.host.respond(D, { status: 503 });
    await world.ask(D);
    world.publish(D, { id: "2" });
    world.clock.advance(TTL);
    await world.ask(D);
    expect(world.askNow(D)).toBe(secure(D));
  });

  it.each([
    ["the record is gone", (world: World) => world.withdrawRecord(D)],
    ["DNS fails", (world: World) => world.dns.behave(`_mta-sts.${D}`, "servfail")],
  ])("and is due again does not hammer DNS when %s", async (_, lose) => {
    await using world = await pinned();
    world.publish(D, { id: "2" });
    world.host.respond(D, { status: 503 });
    await world.recheck(D);
    lose(world);
    world.clock.advance(HOUR);
    await world.recheck(D);
    const queries = world.recordQueries(D);
    for (let i = 0; i < 5; i++) expect(world.askNow(D)).toBe(secure(D));
    await world.ask("later.example"); // What was asked before this has arrived.
    expect(world.recordQueries(D)).toBe(queries);
  });
});

describe("renewal", () => {
  const LIFETIME = 7 * DAY;

  it.each([
    ["half its lifetime", 0, 0.5 * LIFETIME],
    ["65 % of it", 0.5, 0.65 * LIFETIME],
    ["80 % of it", 1 - 2 ** -32, 0.8 * LIFETIME],
  ])("comes after %s as chance will have it, although the id is the same", async (_, chance, age) => {
    await using world = await startWorld({ random: () => chance });
    world.publish(D, { ttl: 86_400 });
    const start = world.clock.now();
    await world.ask(D);
    for (let day = 1; day * DAY < age; day++) {
      world.clock.set(start + day * DAY);
      await world.recheck(D);
    }
    world.clock.set(start + age - SECOND);
    world.askNow(D);
    await world.restart();
    world.askNow(D);
    expect(world.host.requests(D)).toBe(1);
    world.clock.set(start + age);
    expect(await world.recheck(D)).toBe(secure(D));
    expect(world.host.requests(D)).toBe(2);
    expect(world.store.get(D)?.pin?.expiresAt).toBe(start + age + LIFETIME);
  });

  it("brings an edit that came without a new id", async () => {
    await using world = await pinned();
    world.publish(D, { mx: ["edited.example"] });
    world.clock.advance(0.65 * LIFETIME);
    await world.recheck(D);
    expect(world.askNow(D)).toBe(secure(D, "edited.example"));
  });

  it("goes on although the record cannot be asked for", async () => {
    await using world = await pinned();
    world.dns.behave(`_mta-sts.${D}`, "servfail");
    world.clock.advance(0.65 * LIFETIME);
    await world.recheck(D);
    expect(world.events.resolved.at(-1)).toMatchObject({ outcome: { kind: "fetched" } });
  });

  it("waits while there is no record, and does not ask for it at every query", async () => {
    await using world = await pinned();
    world.withdrawRecord(D);
    world.clock.advance(0.65 * LIFETIME);
    await world.recheck(D);
    const queries = world.recordQueries(D);
    for (let i = 0; i < 5; i++) expect(world.askNow(D)).toBe(secure(D));
    await world.ask("later.example"); // What was asked before this has arrived.
    expect([world.recordQueries(D), world.host.requests(D)]).toEqual([queries, 1]);
    world.publishRecord(D, "1");
    world.clock.advance(HOUR);
    await world.recheck(D);
    expect(world.host.requests(D)).toBe(2);
  });

  it("that fails leaves the policy in force", async () => {
    await using world = await pinned();
    world.host.cut(D);
    world.clock.advance(0.65 * LIFETIME);
    await world.recheck(D);
    expect(world.events.resolved.at(-1)?.outcome.kind).toBe("fetch-failure");
    expect(world.askNow(D)).toBe(secure(D));
  });
});

it("a policy that lapsed while the clock was ahead is back, also where a resolution was under way", async () => {
  await using world = await startWorld();
  world.publish(D, { maxAge: 86_400 });
  await world.ask(D);
  world.withdrawRecord(D);
  world.clock.advance(2 * DAY);
  expect(await world.ask(D)).toBe("NOTFOUND");
  world.clock.advance(2 * HOUR);
  world.dns.behave(`_mta-sts.${D}`, { delayMs: 200 });
  const answer = world.ask(D);
  await expect.poll(() => world.recordQueries(D)).toBe(3);
  world.clock.advance(-2 * DAY - 2 * HOUR);
  world.engine.rebase(world.clock.now());
  await answer;
  expect(await world.ask(D)).toBe(secure(D));
});
