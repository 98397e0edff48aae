/** The cache commands on a store and an engine: list, show, refresh, forget, export and import. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderCacheReport } from "../../../src/cli/cache-report.ts";
import type { ImportOptions, ImportResult } from "../../../src/lookup/cache/cache-admin.ts";
import {
  CacheRecordError,
  MAX_RECORD_LINE,
  parseRecord,
  toRecord,
} from "../../../src/lookup/cache/record.ts";
import type { CacheRecord } from "../../../src/lookup/cache/record.ts";
import { Overrides } from "../../../src/lookup/overrides.ts";
import { StoreCacheAdmin } from "../../../src/lookup/cache/store-cache-admin.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { Entry } from "../../../src/store/store.ts";
import { parseConfig } from "../../../src/config.ts";
import { bareAdmin } from "../../helpers/bare-cache-admin.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../helpers/clock.ts";
import { collect } from "../../helpers/collect.ts";
import type { DaneMemory } from "../../../src/lookup/dane/dane-source.ts";
import { fixedDane } from "../../helpers/dane-source.ts";
import { MAPS, secure, startWorld, type World, type WorldOptions } from "../../helpers/world.ts";
import { DAY as DAY_MS, T0, entry, failure, pin } from "../../store/entries.ts";

const D = "d.example";

function adminOf(
  world: World,
  overrides = "",
  dane: DaneMemory = fixedDane({ kind: "none" }),
): StoreCacheAdmin {
  const parsed = parseConfig(`overrides: [${overrides}]`, "f.yaml", {}).overrides;
  const rules = { maps: MAPS, overrides: new Overrides(parsed, () => {}) };
  return new StoreCacheAdmin({
    store: world.store,
    engine: world.engine,
    dane,
    rules: () => rules,
    isDaemon: true,
    now: world.clock.now,
    options: { recheckMin: MINUTE, pace: 1, concurrency: 4 },
  });
}

/** Milliseconds from {@link T0}, as the format writes them. */
function later(milliseconds: number): string {
  return new Date(T0 + milliseconds).toISOString();
}

/** A world in which the policy of {@link D} is held. */
async function pinned(options: WorldOptions = {}): Promise<{ world: World; admin: StoreCacheAdmin }> {
  const world = await startWorld(options);
  world.publish(D);
  await world.ask(D);
  return { world, admin: adminOf(world) };
}

async function listed(admin: StoreCacheAdmin, filter = {}): Promise<CacheRecord[]> {
  return (await collect(admin.list(filter))).flat();
}

async function* lines(...texts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield typeof text === "string" ? Buffer.from(text) : text;
}

function imported(
  admin: StoreCacheAdmin,
  texts: readonly (string | Uint8Array)[],
  options: ImportOptions = { keepLive: false },
): Promise<ImportResult[]> {
  return collect(admin.import(lines(...texts), options));
}

function line(row: Entry): string {
  return JSON.stringify(toRecord(row));
}

async function listOf(filter: object): Promise<string[]> {
  await using world = await startWorld();
  const old = pin({ fetchedAt: T0 - 3 * DAY_MS });
  await world.store.put(entry("old.example", { pin: old }));
  await world.store.put(entry("testing.example", { pin: pin({ mode: "testing" }) }));
  await world.store.put(entry("failed.example", { failure: failure() }));
  await world.store.put(entry("unpinned.example", { pin: undefined, failure: failure() }));
  return (await listed(adminOf(world), filter)).map(({ domain }) => domain);
}

describe("list", () => {
  it.each([
    [{}, ["failed.example", "old.example", "testing.example", "unpinned.example"]],
    [{ mode: "testing" }, ["testing.example"]],
    [{ olderThan: DAY }, ["old.example"]],
    [{ expiresWithin: 5 * DAY }, ["old.example"]],
    [{ failed: true }, ["failed.example", "unpinned.example"]],
    [{ failed: false, mode: "enforce" }, ["old.example"]],
  ])("gives, for %j, %j", async (filter, domains) => {
    expect(await listOf(filter)).toEqual(domains);
  });

  it.each([
    ["", {}, []], // every map is at 100%
    ["{ postfix: { rollout: 34% } }", {}, ["gmail.com"]], // at 34.8% of all; the others come earlier or are not enforced
    ["{ postfix: { rollout: 34% } }", { map: "postfix310" }, []],
    ["{ postfix: { rollout: 34% } }", { map: "no-such-map" }, ["gmail.com"]], // answered as postfix
    ["{ postfix: { rollout: observe } }", {}, ["example.net", "gmail.com"]],
    ["{ postfix: { rollout: observe, dane: ignore } }", {}, ["dane.example", "example.net", "gmail.com"]],
    [
      "{ postfix: { rollout: observe, testing: enforce } }",
      {},
      ["example.net", "gmail.com", "testing.example"],
    ],
    ["{ postfix: { rollout: observe } }", { olderThan: DAY }, []],
  ])("gives with maps %s what %j would have enforced", async (maps, filter, domains) => {
    const store = new MemoryStore();
    for (const domain of ["gmail.com", "example.net", "override.example", "dane.example"])
      await store.put(entry(domain));
    await store.put(entry("testing.example", { pin: pin({ mode: "testing" }) }));
    await store.put(entry("expired.example", { pin: pin({ fetchedAt: T0 - 8 * DAY_MS }) }));
    await store.put(entry("failed.example", { pin: undefined, failure: failure() }));
    await store.noteDane("dane.example", "all");
    const text = `overrides: [{ domain: override.example, action: off }]\nmaps: ${maps}\n`;
    const admin = bareAdmin(store, parseConfig(text, "f.yaml", {}));
    const rows = await listed(admin, { wouldEnforce: true, ...filter });
    expect(rows.map(({ domain }) => domain)).toEqual(domains);
  });

  it("goes by pages, and who waits for a millisecond has a turn between any two", async () => {
    const store = await storeOf(63);
    let turns = 0;
    let timer = setTimeout(function turn() {
      turns++;
      timer = setTimeout(turn, 1);
    }, 1);
    const sizes: number[] = [];
    for await (const page of bareAdmin(store).list({})) sizes.push(page.length);
    clearTimeout(timer);
    expect(sizes).toEqual([...Array.from({ length: 12 }, () => 5), 3]);
    expect(turns).toBeGreaterThanOrEqual(12);
  });

  it("gives the pages of which nothing was let through too: at each, one may stop", async () => {
    const store = await storeOf(12);
    const pages = await collect(bareAdmin(store).list({ failed: true }));
    expect(pages).toEqual([[], [], []]);
  });
});

async function storeOf(rows: number): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let index = 0; index < rows; index++) await store.put(entry(`d${index}.example`));
  return store;
}

describe("show", () => {
  it("tells of a policy that is held: the row, the history, what is next, and what each map is answered", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    const report = await admin.show(D);
    expect(report).toMatchObject({
      state: "pinned",
      in_memory: true,
      record: { domain: D, pin: { id: "1", mode: "enforce" }, failure: null },
      history: [{ id: "1", outcome: "enforce" }],
      next: { action: "check" },
      override: null,
      dns_failure: null,
    });
    for (const map of ["postfix", "QUERY"]) {
      const told = report.answers.find((answer) => answer.map === map);
      expect(told).toEqual({ map, answer: `OK ${await world.ask(D, map)}`, because: "policy" });
    }
  });

  it("says what a lookup would be told, and changes nothing by it", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    world.clock.advance(HOUR);
    const queries = world.recordQueries(D);
    expect((await admin.show(D)).answers[0]).toMatchObject({ answer: `OK ${secure(D)}` });
    expect(world.recordQueries(D), "the record is due, but nobody asked").toBe(queries);
    expect((await admin.show("unknown.example")).state).toBe("unknown");
    expect(world.recordQueries("unknown.example")).toBe(0);
  });

  it("reads the file where memory does not hold the domain", async () => {
    const { world } = await pinned({ store: "sqlite" });
    await using _ = world;
    await world.restart();
    expect(await adminOf(world).show(D)).toMatchObject({ state: "pinned", in_memory: false });
  });

  const states: readonly [string, string, (world: World) => Promise<unknown>, object][] = [
    ["nothing is known", "unknown", async () => {}, { answer: null, because: "not-known" }],
    ["there is no record", "absent", (world) => world.ask(D), { answer: "NOTFOUND", because: "no-policy" }],
    [
      "DNS fails",
      "unreachable",
      async (world) => {
        world.dns.behave("*", "servfail");
        await world.ask(D);
      },
      { answer: "NOTFOUND", because: "dns-failure" },
    ],
    [
      "the policy cannot be fetched",
      "failing",
      async (world) => {
        world.publish(D);
        world.host.respond(D, { status: 404 });
        await world.ask(D);
      },
      { answer: "NOTFOUND", because: "no-policy" },
    ],
    [
      "the policy is only tested",
      "pinned",
      async (world) => {
        world.publish(D, { mode: "testing" });
        await world.ask(D);
      },
      { answer: "NOTFOUND", because: "mode-testing" },
    ],
    [
      "the policy has expired",
      "expired",
      async (world) => {
        world.publish(D, { maxAge: 86_400 });
        await world.ask(D);
        world.clock.advance(DAY);
      },
      { answer: null, because: "not-known" },
    ],
  ];
  it.each(states)("where %s the state is %s", async (_name, state, arrange, answer) => {
    await using world = await startWorld();
    await arrange(world);
    const report = await adminOf(world).show(D);
    expect(report).toMatchObject({ state, domain: D });
    expect(report.answers[0]).toMatchObject({ map: "postfix", ...answer });
  });

  it("says what an override makes of it", async () => {
    const { world } = await pinned();
    await using _ = world;
    const report = await adminOf(world, "{ domain: .example, action: off, comment: ticket 1 }").show(D);
    expect(report.override).toEqual({ domain: ".example", action: "off", until: null, comment: "ticket 1" });
    expect(report.answers.map(({ answer, because }) => `${answer} ${because}`)).toEqual(
      Array.from(MAPS, () => "NOTFOUND override"),
    );
    expect(report.state).toBe("pinned");
  });

  it("tells of the DANE state: what was last known, and what memory holds until when", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    expect((await admin.show(D)).dane).toEqual({ last_known: null, held: null });
    await world.store.noteDane(D, "all");
    const until = world.clock.now() + MINUTE;
    const dane = fixedDane({ kind: "unknown", reason: "MX of d.example: servfail", lastKnown: "all" }, until);
    const report = await adminOf(world, "", dane).show(D);
    expect(report.dane).toEqual({
      last_known: "all",
      held: {
        state: "unknown",
        reason: "MX of d.example: servfail",
        until: new Date(until).toISOString(),
      },
    });
    const text = renderCacheReport(report);
    expect(text).toMatch(/^dane +unknown: MX of d\.example: servfail$/m);
    expect(text).toContain("last known: every MX host has TLSA records (all)");
    expect(text).toContain("in 1 min");
  });

  it("says when a failed fetch is tried again, and why it failed", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    world.publish(D, { id: "2" });
    world.host.respond(D, { status: 404 });
    world.clock.advance(300 * SECOND);
    await world.recheck(D);
    const report = await admin.show(D);
    expect(report.record?.failure).toMatchObject({ id: "2", reason: "status-404", count: 1 });
    expect(report.history.map(({ id, outcome }) => `${id} ${outcome}`)).toEqual([
      "1 enforce",
      "2 status-404",
    ]);
    expect(report.answers[0]).toMatchObject({ answer: `OK ${secure(D)}`, because: "policy" });
  });
});

describe("refresh", () => {
  it("fetches although the id is the same", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    world.publish(D, { mx: ["other.example"] });
    expect(await admin.refresh(D)).toMatchObject({ outcome: "fetched", id: "1", reason: null });
    expect(world.askNow(D), "lookups know at once").toBe(secure(D, "other.example"));
  });

  it("does not wait for the back-off, and counts on", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    world.publish(D, { id: "2" });
    world.host.respond(D, { status: 404 });
    expect(await admin.refresh(D)).toMatchObject({
      outcome: "fetch-failure",
      record: { failure: { count: 1 } },
    });
    expect(await admin.refresh(D)).toMatchObject({
      outcome: "fetch-failure",
      record: { failure: { count: 2 } },
    });
    world.publish(D, { id: "2", mx: ["other.example"] });
    expect(await admin.refresh(D)).toMatchObject({ outcome: "fetched", id: "2" });
  });

  const losses: readonly [string, (world: World) => void, string][] = [
    ["the record is gone", (world) => world.withdrawRecord(D), "no-record"],
    ["the policy host is gone", (world) => world.host.cut(D), "fetch-failure"],
    ["the policy is none", (world) => world.host.serve(D, "mode: none\n"), "fetch-failure"],
  ];
  it.each(losses)("never weakens: %s", async (_name, lose, outcome) => {
    const { world, admin } = await pinned();
    await using _ = world;
    const { pin: before } = (await admin.show(D)).record ?? {};
    lose(world);
    const result = await admin.refresh(D);
    expect(result.outcome).toBe(outcome);
    expect(result.reason).not.toBeNull();
    expect({ ...result.record?.pin, renew_at: "" }).toEqual({ ...before, renew_at: "" });
    expect(world.askNow(D)).toBe(secure(D));
  });

  it("waits for a resolution that runs, and fetches after it", async () => {
    await using world = await startWorld();
    world.publish(D);
    const [, result] = await Promise.all([world.ask(D), adminOf(world).refresh(D)]);
    expect(result.outcome).toBe("fetched");
    expect(world.events.resolved.map(({ trigger }) => trigger)).toEqual(["query", "command"]);
  });

  it("--all fetches every policy that is held, and fills no memory with them", async () => {
    await using world = await startWorld();
    const domains = Array.from({ length: 12 }, (_, index) => `d${index}.example`).sort();
    for (const domain of domains) {
      world.publish(domain);
      await world.store.put(entry(domain));
    }
    await world.store.put(entry("unpinned.example", { pin: undefined, failure: failure() }));
    const results = await collect(adminOf(world).refreshAll());
    expect(results.map(({ domain }) => domain).sort()).toEqual(domains);
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(["fetched"]));
    expect(world.engine.peek("d0.example")).toBeUndefined();
  });

  it("--all stops when nobody reads on", async () => {
    await using world = await startWorld();
    for (let index = 0; index < 20; index++) {
      world.publish(`d${index}.example`);
      await world.store.put(entry(`d${index}.example`));
    }
    for await (const result of adminOf(world).refreshAll()) {
      expect(result.outcome).toBe("fetched");
      break;
    }
    expect(world.events.resolved.length).toBeLessThan(20);
  });
});

describe("forget", () => {
  it("leaves nothing: the next question looks for a policy", async () => {
    const { world, admin } = await pinned({ store: "sqlite" });
    await using _ = world;
    expect(await admin.forget(D)).toBe(true);
    expect(await admin.show(D)).toMatchObject({ state: "unknown", history: [], record: null });
    world.withdrawRecord(D);
    expect(await world.ask(D)).toBe("NOTFOUND");
    expect(await admin.forget("unknown.example")).toBe(false);
  });
});

describe("import", () => {
  it("takes what export gives, and gives it again", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(entries, { selector: ({ domain }) => domain, maxLength: 8 }),
        async (rows) => {
          const source = new MemoryStore();
          for (const row of rows) await source.put(row);
          const first = await listed(bareAdmin(source));
          const copy = new MemoryStore();
          const target = bareAdmin(copy);
          const results = await imported(
            target,
            first.map((record) => JSON.stringify(record)),
          );
          expect(results.filter(({ result }) => result !== "accepted")).toEqual([]);
          expect(await listed(target)).toEqual(first);
          for (const row of rows) expect(copy.get(row.domain)).toEqual(row);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("is in force at once", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    const now = world.clock.now();
    const newer = pin({ mx: ["new.example"], fetchedAt: now });
    const row = entry(D, { pin: newer, checkedAt: now, checkAt: now + HOUR, usedAt: now });
    expect(await imported(admin, [line(row)])).toMatchObject([{ line: 1, domain: D, result: "accepted" }]);
    expect(world.askNow(D)).toBe(secure(D, "new.example"));
  });

  it("keeps a policy that was fetched later, and any that is held where it is told to", async () => {
    const { world, admin } = await pinned();
    await using _ = world;
    world.clock.advance(HOUR);
    const older = entry(D, { pin: pin({ fetchedAt: T0 - HOUR }), checkedAt: T0 - HOUR });
    const none = entry(D, { pin: undefined });
    const newer = entry(D, { pin: pin({ fetchedAt: T0 + MINUTE }) });
    expect(
      (await imported(admin, [line(older), line(none)])).map(({ result, reason }) => [result, reason]),
    ).toEqual([
      ["kept", "the policy held was fetched later"],
      ["kept", "a policy is held, and the line has none"],
    ]);
    expect(await imported(admin, [line(newer)], { keepLive: true })).toMatchObject([
      { result: "kept", reason: "a policy is held" },
    ]);
    expect(world.askNow(D)).toBe(secure(D));
  });

  const good = toRecord(entry(D));
  const goodPin = good.pin!;
  const bad: readonly [reason: string, text: string | Uint8Array][] = [
    ["no JSON in UTF-8", "{"],
    ["no JSON in UTF-8", Buffer.from(`"\xff"`, "latin1")],
    ["no JSON in UTF-8", `\ufeff${JSON.stringify(good)}`],
    ["the line is no object", "[]"],
    ["v is not 1: another version of the format", JSON.stringify({ ...good, v: 2 })],
    ["the line has unknown fields: extra", JSON.stringify({ ...good, extra: 1 })],
    ["pin has unknown fields: extra", JSON.stringify({ ...good, pin: { ...goodPin, extra: 1 } })],
    ["domain is no domain (lower-case A-labels)", JSON.stringify({ ...good, domain: "D.example" })],
    ["domain is no domain (lower-case A-labels)", JSON.stringify({ ...good, domain: "[192.0.2.1]" })],
    ["pin is no object", JSON.stringify({ ...good, pin: undefined })], // null says that there is none
    ["pin.mode is no mode", JSON.stringify({ ...good, pin: { ...goodPin, mode: "off" } })],
    ["pin.mode is not what pin.text says", JSON.stringify({ ...good, pin: { ...goodPin, mode: "none" } })],
    ["pin.mx is not what pin.text says", JSON.stringify({ ...good, pin: { ...goodPin, mx: ["x.example"] } })],
    ["pin.max_age is not what pin.text says", JSON.stringify({ ...good, pin: { ...goodPin, max_age: 1 } })],
    ["pin.max_age is below 0", JSON.stringify({ ...good, pin: { ...goodPin, max_age: -1 } })],
    [
      "pin.text is no policy: version is missing",
      JSON.stringify({ ...good, pin: { ...goodPin, text: "mode: none" } }),
    ],
    [
      "pin.text has a byte-order mark",
      JSON.stringify({ ...good, pin: { ...goodPin, text: `\ufeff${goodPin.text}` } }),
    ],
    [
      "pin.id is no record id (1 to 32 letters or digits, or empty)",
      JSON.stringify({ ...good, pin: { ...goodPin, id: "a b" } }),
    ],
    [
      "used_at is no time (2026-11-21T22:04:05.000Z)",
      JSON.stringify({ ...good, used_at: "2026-11-21 22:04:05" }),
    ],
    ["used_at is no time", JSON.stringify({ ...good, used_at: T0 })],
    ["checked_at lies in the future", JSON.stringify({ ...good, checked_at: later(HOUR) })],
    ["check_at lies more than a year ahead", JSON.stringify({ ...good, check_at: later(400 * DAY) })],
    [
      "pin.fetched_at lies in the future", // it would never be replaced
      JSON.stringify({
        ...good,
        pin: { ...goodPin, fetched_at: later(HOUR), expires_at: later(2 * HOUR) },
      }),
    ],
    [
      "pin.expires_at is later than pin.max_age allows", // nothing lives for ever
      JSON.stringify({ ...good, pin: { ...goodPin, expires_at: later(8 * DAY) } }),
    ],
    [
      "pin.expires_at is not after pin.fetched_at",
      JSON.stringify({ ...good, pin: { ...goodPin, expires_at: later(0) } }),
    ],
    [`longer than ${MAX_RECORD_LINE} bytes`, " ".repeat(MAX_RECORD_LINE + 1)],
  ];
  it.each(bad)("refuses, with its number, a line because %s", async (reason, text) => {
    const admin = bareAdmin(new MemoryStore());
    const results = await imported(admin, ["", text, line(entry("e.example"))]);
    expect(results).toEqual([
      { line: 2, domain: null, result: "refused", reason },
      { line: 3, domain: "e.example", result: "accepted", reason: null },
    ]);
    expect((await listed(admin)).map(({ domain }) => domain)).toEqual(["e.example"]);
  });

  it.each([
    [
      "a policy fetched a little after now",
      { pin: pin({ fetchedAt: T0 + MINUTE }) },
      { pin: pin() }, // else it would stand in the way of newer ones
    ],
    [
      "a renewal after the end",
      { pin: pin({ renewAt: pin().expiresAt }) },
      { pin: pin({ renewAt: T0 }) }, // else it would lapse
    ],
    ["a check in a month", { checkAt: T0 + 30 * DAY }, { checkAt: T0 + DAY }], // else a new id would go unseen
  ])("moves back %s", (_, written, read) => {
    expect(parseRecord(Buffer.from(line(entry(D, written))), T0, MINUTE)).toEqual(entry(D, read));
  });

  it("reads any octets as a row or as a refusal", () => {
    const piece = fc.constantFrom(
      ...Object.keys(good),
      '"',
      ":",
      "{",
      "}",
      ",",
      "null",
      "1",
      JSON.stringify(good),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => {
        expect(["row", "refusal"]).toContain(reading(pieces.join("")));
      }),
    );
  });
});

function reading(text: string): string {
  try {
    parseRecord(Buffer.from(text), T0, MINUTE);
    return "row";
  } catch (error) {
    return error instanceof CacheRecordError ? "refusal" : String(error);
  }
}

const times = fc.integer({ min: T0 - 300 * DAY_MS, max: T0 });
const ids = fc.stringMatching(/^[A-Za-z0-9]{1,32}$/);
const pins = fc
  .record({
    recordId: fc.oneof(ids, fc.constant("")),
    mode: fc.constantFrom("enforce" as const, "testing" as const),
    mx: fc.array(fc.constantFrom("mx.example", "*.example.net", "a-b.example"), {
      minLength: 1,
      maxLength: 3,
    }),
    maxAge: fc.integer({ min: 60, max: 31_557_600 }),
    fetchedAt: times,
  })
  .map((change) => pin(change));
const failures = fc
  .record({ recordId: ids, detail: fc.string({ unit: "grapheme" }), count: fc.nat(), failedAt: times })
  .map((change) => failure(change));
const entries = fc.record({
  domain: fc.stringMatching(/^[a-z][a-z0-9]{0,9}\.example$/),
  pin: fc.option(pins, { nil: undefined }),
  failure: fc.option(failures, { nil: undefined }),
  checkedAt: times,
  checkAt: fc.integer({ min: 0, max: T0 + DAY_MS }),
  usedAt: times,
});
