/** Renewal in the background: the rows are the schedule. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runRefresher, type RefresherDeps } from "../../src/lookup/refresher.ts";
import type { LookupEvents } from "../../src/lookup/events.ts";
import { openStore } from "../../src/store/open-store.ts";
import { StoreError, type Entry, type PolicyStore } from "../../src/store/store.ts";
import { Clock, DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { SILENT } from "./silent-events.ts";
import { entry, pin, T0, temporaryFolder } from "../store/entries.ts";

const OPTIONS: RefresherDeps["options"] = {
  unusedAfter: 60 * DAY,
  fastestPace: 0,
  slowestPace: 0,
  lookInterval: HOUR,
  concurrency: 4,
  shortestSleep: 1,
  longestSleep: HOUR,
  countInterval: HOUR,
  unwrittenRest: HOUR,
  tidyInterval: HOUR,
  keepSpent: DAY,
};

/** A row whose renewal came due `ago` before T0. */
function due(domain: string, ago = HOUR, change: Partial<Entry> = {}): Entry {
  const fetchedAt = T0 - 5 * DAY;
  const times = { checkedAt: fetchedAt, checkAt: fetchedAt + HOUR };
  return entry(domain, { ...times, pin: pin({ fetchedAt, renewAt: T0 - ago }), ...change });
}

/** `row` as a renewal at `now` leaves it. */
function renewed(row: Entry, now: number): Entry {
  return { ...row, pin: pin({ fetchedAt: now }), checkedAt: now, checkAt: now + HOUR };
}

describe("the refresher", () => {
  const clock = new Clock(T0);
  let folder: ReturnType<typeof temporaryFolder>;
  let stop: AbortController;
  let running: Promise<void>[];
  let stores: PolicyStore[];
  beforeEach(() => {
    folder = temporaryFolder();
    clock.set(T0);
    stop = new AbortController();
    running = [];
    stores = [];
  });
  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
    await Promise.all(stores.map((store) => store.close()));
    folder.remove();
  });

  function open(options: { maxPages?: number } = {}): PolicyStore {
    const path = join(folder.path, "cache.sqlite");
    const store = openStore({ path, now: clock.now, examine: false, ...options });
    stores.push(store);
    return store;
  }

  async function filled(...rows: readonly Entry[]): Promise<PolicyStore> {
    const store = open();
    await Promise.all(rows.map((row) => store.put(row)));
    return store;
  }

  /** Runs it until the end of the test; resolves when it sleeps for the first time. */
  async function run(
    store: PolicyStore,
    refresh: RefresherDeps["refresh"],
    change: Partial<Omit<RefresherDeps, "options" | "store">> & { options?: Partial<typeof OPTIONS> } = {},
  ): Promise<void> {
    const asleep = Promise.withResolvers<void>();
    const options = { ...OPTIONS, ...change.options };
    const watched = changed(store, {
      nextDue(now, usedSince) {
        asleep.resolve();
        return store.nextDue(now, usedSince);
      },
    });
    const deps = { now: clock.now, events: SILENT, ...change, store: watched, refresh, options };
    running.push(runRefresher(deps, stop.signal));
    return asleep.promise;
  }

  it("renews what is due and in use, the longest due first, and nothing else", async () => {
    const store = await filled(
      due("later.example", MINUTE),
      due("first.example", DAY),
      due("second.example", HOUR),
      due("unused.example", HOUR, { usedAt: T0 - 61 * DAY }),
      due("not-yet.example", -1),
      due("expired.example", 3 * DAY, { pin: pin({ fetchedAt: T0 - 7 * DAY }) }),
      entry("never-had-one.example", { pin: undefined }),
    );
    const tried: string[] = [];
    await run(store, async (domain) => {
      tried.push(domain);
      await store.put(renewed(store.get(domain)!, T0));
    });
    expect(tried).toEqual(["first.example", "second.example", "later.example"]);
  });

  it("starts one renewal after the other, and no more at once than it may", async () => {
    const rows = Array.from({ length: 30 }, (_, n) => due(`d${n}.example`));
    const store = await filled(...rows);
    let [atOnce, most] = [0, 0];
    const tried: string[] = [];
    const startedAt = performance.now();
    await run(
      store,
      async (domain) => {
        tried.push(domain);
        most = Math.max(most, ++atOnce);
        await sleep(20);
        await store.put(renewed(store.get(domain)!, T0));
        atOnce--;
      },
      { options: { fastestPace: 3, slowestPace: 3 } },
    );
    expect(most).toBe(OPTIONS.concurrency);
    expect(new Set(tried).size).toBe(rows.length);
    expect(tried).toHaveLength(rows.length);
    // A timer may fire a millisecond early.
    expect(performance.now() - startedAt).toBeGreaterThan(rows.length * 2);
  });

  it("is not held up by a policy host that does not answer", async () => {
    const store = await filled(...Array.from({ length: 250 }, (_, n) => due(`d${n}.example`, HOUR - n)));
    const silence = Promise.withResolvers<void>();
    const others = Promise.withResolvers<void>();
    let done = 0;
    const asleep = run(store, async (domain) => {
      if (domain === "d0.example") return silence.promise;
      await store.put(renewed(store.get(domain)!, T0));
      if (++done === 249) others.resolve();
    });
    await others.promise;
    silence.resolve();
    await asleep;
    expect(done).toBe(249);
  });

  it("leaves off while the store cannot write, so that no policy host is asked again and again", async () => {
    const rows = Array.from({ length: 200 }, (_, n) => due(`d${n}.example`));
    await (await filled(...rows)).close();
    const store = open({ maxPages: 1 });
    let tries = 0;
    await run(store, async (domain) => {
      tries++;
      const long = "x".repeat(100_000);
      const row = store.get(domain)!;
      await store.put({ ...row, pin: pin({ fetchedAt: T0, text: long }) }).catch(() => undefined);
    });
    expect(store.health()).toMatchObject({ writable: false, lastError: { code: "full" } });
    expect(tries).toBeLessThan(20);
  });

  it("tries a row that stays due once, and lets it rest then", async () => {
    const store = await filled(...Array.from({ length: 150 }, (_, n) => due(`d${n}.example`)));
    const tried: string[] = [];
    await run(store, async (domain) => void tried.push(domain));
    await sleep(20);
    expect(new Set(tried).size).toBe(tried.length);
    expect(tried.length).toBeGreaterThanOrEqual(100);
  });

  it("leaves off once a thousand were not written, although the store knows of no failure", async () => {
    const store = await filled(...Array.from({ length: 1_100 }, (_, n) => due(`d${n}.example`)));
    const tried = new Set<string>();
    await run(store, async (domain) => void tried.add(domain));
    await sleep(20);
    expect(tried.size).toBe(1_000);
  });

  it("renews a row once more that falls due anew before the round is over", async () => {
    const store = await filled(due("again.example"));
    let tries = 0;
    await run(store, async (domain) => {
      const next = ++tries < 3 ? T0 - MINUTE + tries : T0 + DAY;
      await store.put({ ...store.get(domain)!, pin: pin({ fetchedAt: T0 - HOUR + tries, renewAt: next }) });
    });
    expect(tries).toBe(3);
  });

  it("goes at its fastest where the store cannot tell how much is due, and reports that once", async () => {
    const store = await filled(due("a.example"), due("b.example"));
    const failures: string[] = [];
    const mute = changed(store, {
      backlog: async () => {
        throw new StoreError("io", "the thread stopped");
      },
    });
    const storeFailed: LookupEvents["storeFailed"] = (operation, domain, { code }) =>
      void failures.push(`${operation} ${domain} ${code}`);
    const tried: string[] = [];
    const refresh = async (domain: string) => {
      tried.push(domain);
      await store.put(renewed(store.get(domain)!, T0));
    };
    await run(mute, refresh, { events: { ...SILENT, storeFailed }, options: { slowestPace: HOUR } });
    expect(tried).toEqual(["a.example", "b.example"]);
    expect(failures).toEqual(["read undefined io"]);
  });

  it("ends when it is told to, although the store does not say how much is due", async () => {
    const store = await filled(due("d.example"));
    const asked = Promise.withResolvers<void>();
    const hung = changed(store, {
      backlog: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    });
    const tried: string[] = [];
    void run(hung, async (domain) => void tried.push(domain));
    await asked.promise;
    stop.abort();
    await running[0];
    expect(tried).toEqual([]);
  });

  it("sleeps until the next is due", async () => {
    const offset = T0 - performance.now();
    const now = () => performance.now() + offset;
    const store = await filled(due("d.example", -200));
    let looks = 0;
    const counted = changed(store, {
      due: (...args: Parameters<PolicyStore["due"]>) => {
        looks++;
        return store.due(...args);
      },
    });
    const done = Promise.withResolvers<number>();
    void run(counted, async () => done.resolve(now()), { now });
    expect(await done.promise).toBeGreaterThanOrEqual(T0 + 200);
    // At the start, and when it was due; once more where a timer fires a millisecond early.
    expect(looks).toBeLessThanOrEqual(3);
  });

  it("wakes after the longest sleep to see what others stored", async () => {
    const store = await filled();
    const done = Promise.withResolvers<string>();
    await run(store, async (domain) => done.resolve(domain), { options: { longestSleep: 5 } });
    await store.put(due("d.example"));
    expect(await done.promise).toBe("d.example");
  });

  it("deletes what expired more than a day ago and is not used, but not at its start", async () => {
    const long = { fetchedAt: T0 - 90 * DAY, usedAt: T0 - 90 * DAY };
    const store = await filled(
      entry("spent.example", { pin: pin({ ...long, maxAge: (89 * DAY) / SECOND }), usedAt: long.usedAt }),
      entry("just.example", {
        pin: pin({ ...long, maxAge: (90 * DAY - MINUTE) / SECOND }),
        usedAt: long.usedAt,
      }),
      entry("used.example", { pin: pin({ ...long, maxAge: (89 * DAY) / SECOND }) }),
    );
    await run(store, async () => {}, { options: { longestSleep: 5 } });
    expect(store.get("spent.example")).toBeDefined();
    clock.advance(HOUR);
    await expect.poll(() => store.get("spent.example")).toBeUndefined();
    expect(store.get("just.example")).toBeDefined();
    expect(store.get("used.example")).toBeDefined();
  });

  it.each([
    ["at its start", 0],
    ["and every hour", -DAY],
  ])("moves back what a clock that was ahead wrote, %s", async (_, step) => {
    const store = await filled(entry("d.example", { pin: pin({ fetchedAt: T0 + step + 2 * DAY }) }));
    await run(store, async () => {}, { options: { longestSleep: 5 } });
    clock.advance(step);
    await expect.poll(() => store.get("d.example")?.pin?.expiresAt).toBe(T0 + step + 7 * DAY);
  });

  it("reports a store that cannot be read, and rests", async () => {
    const store = await filled();
    const failures: string[] = [];
    const reported = Promise.withResolvers<void>();
    const broken = changed(store, {
      due: (): Entry[] => {
        throw new StoreError("io", "the disk is gone");
      },
    });
    const events: LookupEvents = {
      ...SILENT,
      storeFailed: (operation, domain, { code }) => {
        failures.push(`${operation} ${domain} ${code}`);
        reported.resolve();
      },
    };
    void run(broken, async () => {}, { events });
    await reported.promise;
    await sleep(20);
    expect(failures).toEqual(["read undefined io"]);
  });

  it("ends when it is told to, after what it started", async () => {
    const store = await filled(due("a.example"), due("b.example"));
    const tried: string[] = [];
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    void run(
      store,
      async (domain) => {
        tried.push(domain);
        started.resolve();
        await release.promise;
      },
      { options: { fastestPace: HOUR, slowestPace: HOUR } },
    );
    await started.promise;
    let ended = false;
    void running[0]!.then(() => (ended = true));
    stop.abort();
    await sleep(5);
    expect(ended).toBe(false);
    release.resolve();
    await running[0];
    expect(tried).toEqual(["a.example"]);
  });
});

/** One round on the store and engine of `world`; answers with the milliseconds until there is more to do. */
async function round(world: World): Promise<number | undefined> {
  const stop = new AbortController();
  let next: number | undefined;
  const store = changed(world.store, {
    nextDue(now, usedSince) {
      next = world.store.nextDue(now, usedSince);
      stop.abort();
      return next;
    },
  });
  const refresh = (domain: string) => world.engine.renew(domain);
  await runRefresher({ store, refresh, events: SILENT, now: world.clock.now, options: OPTIONS }, stop.signal);
  return next === undefined ? undefined : next - world.clock.now();
}

describe("renewal by the refresher", () => {
  const D = "d.example";
  const LATE = 0.65 * 7 * DAY;

  /** The policy of {@link D} is stored, and due for renewal in a process that knows nothing else. */
  async function dueWorld(): Promise<World> {
    const world = await startWorld({ store: "sqlite" });
    world.publish(D);
    await world.ask(D);
    world.clock.advance(LATE);
    await world.restart();
    return world;
  }

  it("comes after a restart, and brings an edit that came without a new id", async () => {
    await using world = await dueWorld();
    world.publish(D, { mx: ["edited.example"] });
    expect(await round(world)).toBe(LATE);
    expect(world.host.requests(D)).toBe(2);
    await world.restart();
    expect(world.askNow(D)).toBe(secure(D, "edited.example"));
  });

  it("does not come before it is due", async () => {
    await using world = await startWorld({ store: "sqlite" });
    world.publish(D);
    await world.ask(D);
    world.clock.advance(LATE - 1);
    await world.restart();
    expect(await round(world)).toBe(1);
    expect(world.recordQueries(D)).toBe(1);
  });

  it("that fails is tried again after its pause", async () => {
    await using world = await dueWorld();
    world.host.cut(D);
    expect(await round(world)).toBe(5 * MINUTE);
    expect(await round(world)).toBe(5 * MINUTE);
    expect(world.recordQueries(D), "one try").toBe(2);
    world.clock.advance(5 * MINUTE);
    expect(await round(world)).toBe(10 * MINUTE);
    expect(world.askNow(D)).toBe(secure(D));
  });

  it("is put off while there is no record", async () => {
    await using world = await dueWorld();
    world.withdrawRecord(D);
    expect(await round(world)).toBe(MINUTE);
    expect(await round(world)).toBe(MINUTE);
    expect([world.recordQueries(D), world.host.requests(D)]).toEqual([2, 1]);
    expect(world.askNow(D)).toBe(secure(D));
  });

  it("leaves what memory holds for those who ask", async () => {
    await using world = await dueWorld();
    await round(world);
    expect(world.engine.peek(D)).toBeUndefined();
  });
});

/** `store` with some of its methods replaced. */
function changed(store: PolicyStore, change: Partial<PolicyStore>): PolicyStore {
  return new Proxy(store, {
    get(target, name) {
      const method: unknown = Reflect.get(change, name) ?? Reflect.get(target, name);
      return typeof method === "function" ? method.bind(target) : method;
    },
  });
}
