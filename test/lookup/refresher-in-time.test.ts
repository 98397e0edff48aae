/** No pin lapses for want of a turn, and renewals go no faster than that needs: hours of them, on virtual time. */
import { describe, expect, it } from "vitest";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { newPin } from "../../src/lookup/freshness.ts";
import { runRefresher } from "../../src/lookup/refresher.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { Entry, PolicyStore } from "../../src/store/store.ts";
import { VirtualTime } from "../faults/simulation/virtual-time.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { SeededRandom } from "../helpers/seeded-random.ts";
import { DEFAULTS } from "../helpers/world.ts";
import { SILENT } from "./silent-events.ts";
import { entry, failure, pin, T0 } from "../store/entries.ts";

/** As the daemon has them. */
const OPTIONS = {
  unusedAfter: 60 * DAY,
  fastestPace: 20,
  slowestPace: 2_000,
  lookInterval: 5 * SECOND,
  concurrency: 16,
  shortestSleep: SECOND,
  longestSleep: 10 * SECOND,
  countInterval: 5 * MINUTE,
  unwrittenRest: 5 * MINUTE,
  tidyInterval: HOUR,
  keepSpent: DAY,
};

/** Milliseconds that a renewal takes. */
const TAKES = 30;

interface Renewal {
  readonly domain: string;
  /** Since the start, in milliseconds. */
  readonly at: number;
  /** What was left of the time from falling due to lapsing, 0 to 1. */
  readonly leftOfWindow: number;
}

/** Due since before T0, with `left` milliseconds until it lapses. */
function late(domain: string, left: number, dueAgo = HOUR): Entry {
  const long = { fetchedAt: T0 - 5 * DAY, renewAt: T0 - dueAgo, maxAge: (5 * DAY + left) / SECOND };
  return entry(domain, { pin: pin(long) });
}

const longAgo = () => T0 - HOUR;

/** A policy of `maxAge` seconds fetched at T0 - `ago`. */
function young(domain: string, maxAge: number, ago: number, random: number): Entry {
  return entry(domain, { pin: renewedPin(maxAge, T0 - ago, random) });
}

function renewedPin(maxAge: number, now: number, random: number) {
  const { text, mode, mx } = pin({ maxAge });
  const fetched = { text, policy: { mode, mx, maxAge }, trace: { url: "", durationMs: TAKES } };
  return newPin("20261121", fetched, now, random, DEFAULTS.freshness);
}

interface World {
  /** Steps of the clock by the moment they come at. */
  readonly steps?: Readonly<Record<number, number>>;
  /** Policy hosts that answer nothing, and what becomes of it after a minute; the others are well. */
  readonly dead?: Readonly<Record<string, "failed" | "not written">>;
  /** Rows that another process stores, by the moment. */
  readonly arriving?: Readonly<Record<number, Entry>>;
  /** Methods of the store that do otherwise. */
  readonly store?: Partial<PolicyStore>;
}

/** Runs the refresher on `rows` for `duration` milliseconds. */
async function renewals(
  rows: readonly Entry[],
  duration: number,
  { steps = {}, dead = {}, arriving = {}, store: change = {} }: World = {},
): Promise<{ done: Renewal[]; lapsed: string[]; store: MemoryStore }> {
  using time = new VirtualTime(T0);
  const random = new SeededRandom(1);
  const store = Object.assign(new MemoryStore(), change);
  for (const row of rows) await store.put(row);
  const done: Renewal[] = [];
  const refresh = async (domain: string): Promise<void> => {
    const { pin: old } = store.get(domain)!;
    const at = time.passed;
    const leftOfWindow = (old!.expiresAt - time.now()) / (old!.expiresAt - old!.renewAt);
    done.push({ domain, at, leftOfWindow });
    const fate = dead[domain];
    await sleep(fate === undefined ? TAKES : MINUTE);
    const now = time.now();
    if (fate === "not written") return;
    if (fate === "failed") {
      const failed = failure({ recordId: old!.recordId, failedAt: now, retryAt: now + 5 * MINUTE });
      return store.put({ ...store.get(domain)!, failure: failed });
    }
    const renewed = renewedPin(old!.maxAge, now, random.next());
    await store.put({ ...store.get(domain)!, pin: renewed, checkedAt: now, checkAt: now + HOUR });
  };
  for (const [at, step] of Object.entries(steps)) {
    time.schedule(Number(at), () => {
      time.step(step);
      void store.rebase(time.now());
    });
  }
  for (const [at, row] of Object.entries(arriving)) time.schedule(Number(at), () => void store.put(row));
  const stop = new AbortController();
  const running = runRefresher(
    { store, refresh, events: SILENT, now: time.now, options: OPTIONS },
    stop.signal,
  );
  // Until it waits for a timer.
  await nextTurn();
  while (time.passed < duration) await time.fireNext();
  stop.abort();
  const over = new AbortController();
  void running.then(() => over.abort());
  while (!over.signal.aborted) await time.fireNext();
  const now = time.now();
  const lapsed = [...rows, ...Object.values(arriving)].filter(
    ({ domain }) => (store.get(domain)?.pin?.expiresAt ?? Infinity) <= now,
  );
  return { done, lapsed: lapsed.map(({ domain }) => domain), store };
}

function of(prefix: string, done: readonly Renewal[]): Renewal[] {
  return done.filter(({ domain }) => domain.startsWith(prefix));
}

function many(count: number, make: (n: number) => Entry): Entry[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

describe("a backlog of policies", () => {
  it("that lapse in days is worked off slowly, and short-lived ones that fall due meanwhile do not wait for it", async () => {
    const week = many(3_000, (n) => late(`week${n}.example`, DAY + n * MINUTE));
    const short = many(20, (n) => young(`short${n}.example`, 600, n * 10 * SECOND, n / 20));
    const { done, lapsed } = await renewals([...week, ...short], 2 * HOUR);
    expect(lapsed).toEqual([]);
    const took = of("week", done).at(-1)!.at;
    expect(new Set(of("week", done).map(({ domain }) => domain)).size).toBe(3_000);
    expect(took / 3_000).toBeGreaterThan(1_800);
    const tight = of("short", done).filter(({ leftOfWindow }) => leftOfWindow < 0.6);
    expect(tight).toEqual([]);
    // Ten minutes at most between two renewals of each, while the backlog lasts and after it.
    expect(of("short", done).length).toBeGreaterThanOrEqual(20 * 12);
  });

  it("that are all near their end goes at the fastest pace at once, and all are renewed in time", async () => {
    const rows = many(5_000, (n) => late(`d${n}.example`, 10 * MINUTE, 5_000 - n));
    const { done, lapsed } = await renewals(rows, 10 * MINUTE);
    expect(lapsed).toEqual([]);
    expect(done).toHaveLength(5_000);
    expect(done[999]!.at).toBe(999 * OPTIONS.fastestPace);
    // All but one in 2^8, and these at no slower than the slowest pace.
    expect(done.at(-20)!.at).toBeLessThan(5 * MINUTE);
    expect(done.at(-1)!.at).toBeLessThan(6 * MINUTE);
  });

  it("of which the last in the queue lapses first has it renewed in time", async () => {
    const rows = many(1_000, (n) => late(`d${n}.example`, n === 999 ? MINUTE : 2 * DAY, 1_001 - n));
    const { done } = await renewals(rows, HOUR);
    const first = done.find(({ domain }) => domain === "d999.example");
    expect(first!.at).toBeLessThan(MINUTE / 8);
  });

  it("is worked off although somebody has more policies about to lapse than can be renewed", async () => {
    const hurried = many(6_000, (n) =>
      late(`hurried${n}.example`, (20 + Math.floor(n / 50)) * SECOND, SECOND),
    );
    const week = many(500, (n) => late(`week${n}.example`, DAY));
    const { done } = await renewals([...week, ...hurried], MINUTE);
    expect(of("hurried", done).length).toBeGreaterThan(1_000);
    expect(of("week", done)).toHaveLength(500);
  });

  it("does not keep policies of a minute waiting until they lapse", async () => {
    const week = many(2_000, (n) => late(`week${n}.example`, 2 * DAY));
    const minute = many(10, (n) => young(`minute${n}.example`, 60, n * SECOND, n / 10));
    const { done, lapsed } = await renewals([...week, ...minute], 7 * MINUTE);
    expect(lapsed).toEqual([]);
    // Still under way.
    expect(of("week", done).length).toBeLessThan(2_000);
    expect(of("minute", done).length).toBeGreaterThan(70);
  });

  it("does not keep what expired long ago from being deleted, however long it takes", async () => {
    const week = many(10_000, (n) => late(`week${n}.example`, 3 * DAY));
    const long = { fetchedAt: T0 - 90 * DAY, maxAge: (80 * DAY) / SECOND };
    const spent = entry("spent.example", { pin: pin(long), usedAt: T0 - 90 * DAY });
    const { done, store } = await renewals([...week, spent], HOUR + MINUTE);
    expect(done.length).toBeLessThan(10_000);
    expect(store.get("spent.example")).toBeUndefined();
  });

  it.each([
    ["back by a day", -DAY],
    ["forward by half a day", DAY / 2],
  ])("is worked off at its pace while the clock is stepped %s", async (_, step) => {
    const week = many(1_000, (n) => late(`week${n}.example`, 2 * DAY + n * MINUTE, 2 * DAY));
    const { done, lapsed } = await renewals(week, HOUR, { steps: { [MINUTE]: step } });
    expect(lapsed).toEqual([]);
    expect(done).toHaveLength(1_000);
    const pauses = done.slice(1).map(({ at }, n) => at - done[n]!.at);
    expect([Math.min(...pauses), Math.max(...pauses)]).toEqual([2_000, 2_000]);
  });

  it("rests while the thread that counts and writes hangs, which is asked no second time, and goes on once it answers", async () => {
    const rows = many(10, (n) => late(`d${n}.example`, DAY, HOUR - n));
    const asked = { first: true, meanwhile: 0 };
    const backlog = async () => {
      if (asked.first) await sleep(MINUTE).then(() => (asked.first = false));
      return { rows: rows.length, firstToLapse: [] };
    };
    const hanging = () => {
      asked.meanwhile += asked.first ? 1 : 0;
      return backlog();
    };
    const { done } = await renewals(rows, 2 * MINUTE, { store: { backlog: hanging } });
    expect(asked.meanwhile).toBe(1);
    const meanwhile = done.filter(({ at }) => at < MINUTE).map(({ at }) => Math.floor(at / SECOND));
    expect(meanwhile).toEqual([5, 25]);
    expect(done).toHaveLength(rows.length);
  });
});

describe("a policy that falls due soon and lapses soon after", () => {
  /** Falls due at 20 seconds, lapses at 140. */
  const short = entry("short.example", {
    pin: pin({ fetchedAt: T0 - 460 * SECOND, renewAt: T0 + 20 * SECOND, maxAge: 600 }),
  });

  it.each(["failed", "not written"] as const)(
    "is renewed in time while another, whose host is dead, is under way and then %s",
    async (fate) => {
      const rows = [late("dead.example", DAY), short];
      const { done } = await renewals(rows, 140 * SECOND, { dead: { "dead.example": fate } });
      expect(of("dead", done).map(({ at }) => at)).toEqual([0]);
      const [first] = of("short", done);
      expect(first!.at).toBeLessThan(20 * SECOND + OPTIONS.lookInterval + OPTIONS.slowestPace);
    },
  );

  it("has the first turn that is free where dead hosts take all", async () => {
    const rows = many(40, (n) => late(`dead${n}.example`, DAY, HOUR - n));
    const dead = Object.fromEntries(rows.map(({ domain }) => [domain, "failed" as const]));
    const { done } = await renewals([...rows, short], 140 * SECOND, { dead });
    const [first] = of("short", done);
    expect(first!.at).toBeLessThan(65 * SECOND);
  });

  it("is renewed although it was stored while the refresher slept", async () => {
    const arriving = { [SECOND]: young("minute.example", 60, -SECOND, 1) };
    const { done, lapsed } = await renewals([], HOUR, { arriving });
    expect(lapsed).toEqual([]);
    expect(done.length).toBeGreaterThan(60);
  });
});

describe("a policy that cannot be written", () => {
  it("and waits for the disk is not looked at again and again", async () => {
    const row = late("d.example", DAY);
    // The store knows what is to be written, and the file has the old row.
    const get = () => ({ ...row, pin: renewedPin(DAY / SECOND, T0, 0) });
    let looks = 0;
    const due = () => {
      looks++;
      return [row];
    };
    const { done } = await renewals([], MINUTE, { store: { get, due, nextDue: longAgo } });
    expect(done).toEqual([]);
    expect(looks).toBeLessThanOrEqual(61);
  });

  it("is fetched again after five minutes, and the others that are due in turn", async () => {
    const rows = many(20, (n) => late(`d${n}.example`, DAY, HOUR - n));
    const { done } = await renewals(rows, 16 * MINUTE, { dead: { "d7.example": "not written" } });
    const tries = of("d7.", done).map(({ at }) => at);
    expect(tries).toHaveLength(3);
    for (const [n, at] of tries.slice(1).entries())
      expect(at - tries[n]!).toBeGreaterThan(6 * MINUTE - SECOND);
    expect(done).toHaveLength(19 + 3);
  });
});
