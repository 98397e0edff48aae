import { describe, expect, it } from "vitest";
import { DaneCache } from "../../../src/lookup/dane/dane-cache.ts";
import type { DaneState, KnownDaneKind } from "../../../src/policy/verdict.ts";
import { Clock, DAY, MINUTE, SECOND } from "../../helpers/clock.ts";

const D = "d.example";
const all: DaneState = { kind: "all" };
const none: DaneState = { kind: "none" };
const unknown: DaneState = { kind: "unknown", reason: "MX of d.example: servfail" };
const unknownAfter = (lastKnown: KnownDaneKind): DaneState => ({ ...unknown, lastKnown });

/** What a client gets that may be told what was last known, while DNS does not answer. */
const standIn = (lastKnown: KnownDaneKind) => ({
  state: { kind: "unknown", reason: `DANE state of ${D} unknown: DNS does not answer`, lastKnown },
  until: 0,
});

/** Deps of a cache that keeps nothing, and asks for everything. */
const UNKEPT = {
  recall: () => undefined,
  remember: async () => {},
  discoverUnasked: () => undefined,
  onFound: () => {},
};

/** A cache over discoveries that end when the test says so. */
function startCache({ memoryEntries = 100, patience = MINUTE } = {}) {
  const clock = new Clock();
  const running: { domain: string; end: (state: DaneState, ttl: number) => void }[] = [];
  const asked: string[] = [];
  const cache = new DaneCache({
    ...UNKEPT,
    discover(domain) {
      asked.push(domain);
      return new Promise((resolve) => {
        running.push({ domain, end: (state, ttl) => resolve({ state, ttl }) });
      });
    },
    now: clock.now,
    options: { memoryEntries, holdMin: 10 * SECOND, holdMax: DAY, patience },
  });
  /** Ends the oldest discovery that runs; `ttl` in seconds. */
  const end = (state: DaneState, ttl = 60) => running.shift()?.end(state, ttl);
  /** Has the cache learn this, to hold for a minute. */
  const learn = async (state: DaneState, domain = D) => {
    const found = cache.find(domain, false);
    end(state);
    await found;
  };
  /** `asked`: the domains of all discoveries so far. */
  return { cache, clock, asked, end, learn };
}

describe("a state that is known", () => {
  it("is given at once until its TTL has passed, and then asked for again", async () => {
    const { cache, clock, asked, learn, end } = startCache();
    await learn(all);
    clock.advance(MINUTE - 1);
    expect(cache.find(D, false)).toMatchObject({ state: all, until: clock.now() + 1 });
    expect(asked).toEqual([D]);

    clock.advance(1);
    const found = cache.find(D, false);
    expect(asked).toEqual([D, D]);
    end(none);
    expect(await found).toMatchObject({ state: none, until: clock.now() + MINUTE });
  });

  it.each<[ttl: number, holds: number, reason: string]>([
    [0, 10 * SECOND, "no less than the smallest"],
    [10, 10 * SECOND, "the smallest"],
    [3600, 3600 * SECOND, "the TTL"],
    [86_401, DAY, "no more than the greatest"],
    [Infinity, DAY, "where nothing had a TTL"],
  ])("with a TTL of %d s holds for %d ms: %s", async (ttl, holds) => {
    const { cache, clock, end } = startCache();
    const found = cache.find(D, false);
    clock.advance(SECOND);
    end(all, ttl);
    expect((await found).until).toBe(clock.now() + holds);
  });

  it("is asked for again after the clock was stepped, and stands in meanwhile", async () => {
    const { cache, asked, learn } = startCache({ patience: 0 });
    await learn(all);
    cache.expire();
    expect(cache.find(D, true)).toEqual(standIn("all"));
    expect(asked).toEqual([D, D]);
  });

  it("gives way when memory is full", async () => {
    const { cache, asked, learn } = startCache({ memoryEntries: 1, patience: 0 });
    await learn(all);
    await learn(none, "other.example");
    expect(cache.find(D, true)).toBeInstanceOf(Promise);
    expect(asked).toEqual([D, "other.example", D]);
  });
});

describe("single flight", () => {
  it("many who ask for one domain share one discovery", async () => {
    const { cache, asked, end } = startCache();
    const found = [cache.find(D, false), cache.find(D, true), cache.find(D, false)].map(
      async (known) => known,
    );
    expect(asked).toEqual([D]);
    end(all);
    const [first, ...others] = await Promise.all(found);
    expect(first?.state).toEqual(all);
    for (const other of others) expect(other).toBe(first);
  });

  it("domains do not wait for each other", async () => {
    const { cache, asked, end } = startCache();
    const first = cache.find("a.example", false);
    const second = cache.find("b.example", false);
    expect(asked).toEqual(["a.example", "b.example"]);
    end(all);
    end(none);
    expect([(await first).state, (await second).state]).toEqual([all, none]);
  });
});

describe("while DNS does not answer", () => {
  it("who can use what was last known waits for no longer than the patience", async () => {
    const { cache, clock, learn, end } = startCache({ patience: 20 });
    await learn(all);
    clock.advance(MINUTE);
    expect(await cache.find(D, true)).toEqual(standIn("all"));

    // The discovery goes on, and what it brings is there for the next one who asks.
    const found = cache.find(D, false);
    end(none);
    await found;
    expect(cache.find(D, true)).toMatchObject({ state: none });
  });

  it("the patience is that of the discovery: who comes later waits for the rest, or not at all", async () => {
    const { cache, clock, learn } = startCache({ patience: MINUTE });
    await learn(none);
    clock.advance(MINUTE);
    expect(cache.find(D, true)).toBeInstanceOf(Promise);
    clock.advance(MINUTE - 20);
    expect(await cache.find(D, true)).toEqual(standIn("none"));
    clock.advance(20);
    expect(cache.find(D, true)).toEqual(standIn("none"));
  });

  it("an answer within the patience is the answer", async () => {
    const { cache, clock, learn, end } = startCache();
    await learn(all);
    clock.advance(MINUTE);
    const found = cache.find(D, true);
    end(none);
    expect((await found).state).toEqual(none);
  });

  it("nobody waits again who can use what was last known", async () => {
    const { cache, clock, asked, learn } = startCache();
    await learn(all);
    clock.advance(MINUTE);
    await learn(unknown);
    clock.advance(MINUTE);
    expect(cache.find(D, true)).toEqual(standIn("all"));
    expect(asked).toEqual([D, D, D]);
  });

  it("who cannot use what was last known waits for the answer", async () => {
    const { cache, clock, learn, end } = startCache({ patience: 0 });
    await learn(all);
    clock.advance(MINUTE);
    const found = cache.find(D, false);
    expect(cache.find(D, true)).toEqual(standIn("all"));
    end(none);
    expect((await found).state).toEqual(none);
  });

  it("who asks for a domain never heard of waits too", async () => {
    const { cache, end } = startCache({ patience: 0 });
    const found = cache.find(D, true);
    end(unknown);
    expect((await found).state).toEqual(unknown);
    // Nothing is known of it now either.
    expect(cache.find(D, true)).toMatchObject({ state: unknown });
  });
});

describe("a state that could not be found out", () => {
  it.each<KnownDaneKind>(["none", "some", "all", "insecure-mx"])(
    "keeps %s, which was known before, through any number of failures",
    async (kind) => {
      const { cache, clock, learn } = startCache({ patience: 0 });
      await learn({ kind });
      for (let failure = 0; failure < 3; failure++) {
        clock.advance(MINUTE);
        expect(cache.find(D, true)).toEqual(standIn(kind));
        await learn(unknown);
        expect(cache.find(D, false)).toMatchObject({ state: unknownAfter(kind) });
      }
    },
  );

  it("keeps what was known last", async () => {
    const { cache, clock, learn } = startCache();
    for (const state of [all, unknown, none, unknown]) {
      await learn(state);
      clock.advance(MINUTE);
    }
    cache.expire();
    await learn(unknown);
    expect(cache.find(D, false)).toMatchObject({ state: unknownAfter("none") });
  });
});

/** A cache after a restart, over a store that held `kept` before it. */
function startAfterRestart(
  kept: KnownDaneKind | undefined,
  discover: () => Promise<DaneState>,
  { isUnasked = (): boolean => false, keeps = true } = {},
) {
  const clock = new Clock();
  const remembered: KnownDaneKind[] = [];
  let recalled = kept;
  const cache = new DaneCache({
    ...UNKEPT,
    recall: () => recalled,
    remember: async (_, kind) => {
      remembered.push(kind);
      if (keeps) recalled = kind;
    },
    discover: async () => ({ state: await discover(), ttl: 60, isUnasked: isUnasked() }),
    discoverUnasked: () => (isUnasked() ? { state: none, ttl: 60, isUnasked: true } : undefined),
    now: clock.now,
    options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
  });
  /** Finds the state, and has it kept, as an answer by a policy does. */
  const rely = async () => {
    const known = await cache.find(D, true);
    await cache.keep(D, known);
    return known.state;
  };
  return { cache, clock, remembered, rely };
}

describe("what was last known before a restart", () => {
  it("stands in while DNS cannot be asked", async () => {
    const { remembered, rely } = startAfterRestart("none", async () => unknown);
    expect(await rely()).toEqual(unknownAfter("none"));
    expect(remembered).toEqual([]);
  });

  it("gives way to what is found, which is remembered once", async () => {
    const { remembered, rely } = startAfterRestart("none", async () => all);
    expect([await rely(), await rely()]).toEqual([all, all]);
    expect(remembered).toEqual(["all"]);
    const same = startAfterRestart("all", async () => all);
    await same.rely();
    expect(same.remembered).toEqual([]);
  });

  it("is not replaced where nothing was asked, because the resolver is not trusted", async () => {
    let isUnasked = true;
    const deps = { isUnasked: () => isUnasked };
    const { cache, clock, remembered, rely } = startAfterRestart(
      "all",
      async () => (isUnasked ? none : unknown),
      deps,
    );
    expect(await rely()).toEqual(none);
    expect(remembered).toEqual([]);
    isUnasked = false;
    clock.advance(MINUTE);
    expect((await cache.find(D, false)).state).toEqual(unknownAfter("all"));
  });

  it("is none, where nothing was known and nothing is asked, so that an outage lifts no policy", async () => {
    const { remembered, rely } = startAfterRestart(undefined, async () => none, { isUnasked: () => true });
    await rely();
    expect(remembered).toEqual(["none"]);
  });

  it("is found at once where nothing is asked, and read once", async () => {
    let reads = 0;
    const recall = () => {
      reads++;
      return undefined;
    };
    const cache = new DaneCache({
      ...UNKEPT,
      recall,
      discover: () => Promise.reject(new Error("asked")),
      discoverUnasked: () => ({ state: none, ttl: 30, isUnasked: true }),
      now: new Clock().now,
      options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
    });
    expect(cache.find(D, true)).toMatchObject({ state: none });
    expect(reads).toBe(1);
  });

  it("is noted again as long as it was not kept, the domain having had no row", async () => {
    const { clock, remembered, rely } = startAfterRestart(undefined, async () => none, { keeps: false });
    await rely();
    clock.advance(MINUTE);
    await rely();
    expect(remembered).toEqual(["none", "none"]);
  });

  it("does not hide what a failed discovery says of the MX set", async () => {
    const { cache } = startAfterRestart("all", async () => unknownAfter("insecure-mx"));
    expect((await cache.find(D, true)).state).toEqual(unknownAfter("insecure-mx"));
  });

  it("a discovery that fails otherwise, or a store that cannot be read, makes the state unknown", async () => {
    const cache = new DaneCache({
      ...UNKEPT,
      recall: () => {
        throw new Error("disk");
      },
      discover: () => Promise.reject(new Error("given up")),
      now: new Clock().now,
      options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
    });
    expect((await cache.find(D, true)).state).toEqual({
      kind: "unknown",
      reason: `DANE state of ${D} unknown: given up`,
    });
  });
});

describe("what is at hand", () => {
  const noAnswer = { kind: "unknown", reason: `DANE state of ${D} unknown: no answer in time` };

  it("is the state as long as it holds, then what was last known, and nothing is asked", async () => {
    const { cache, clock, asked, learn } = startCache();
    expect(cache.atHand(D)).toEqual(noAnswer);
    await learn(none);
    expect(cache.atHand(D)).toEqual(none);
    clock.advance(MINUTE);
    expect(cache.atHand(D)).toEqual({ ...noAnswer, lastKnown: "none" });
    expect(asked).toEqual([D]);
  });
});

/** A cache whose store writes when it is told to. */
function startKept() {
  const writes: { kind: KnownDaneKind; end: PromiseWithResolvers<void> }[] = [];
  const clock = new Clock();
  let state: DaneState = none;
  const cache = new DaneCache({
    ...UNKEPT,
    remember(_, kind) {
      const end = Promise.withResolvers<void>();
      writes.push({ kind, end });
      return end.promise;
    },
    discover: async () => ({ state, ttl: 60 }),
    now: clock.now,
    options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
  });
  const find = (next: DaneState = state) => {
    state = next;
    return cache.find(D, false);
  };
  return { cache, clock, writes, find };
}

describe("what an answer by a policy rests on", () => {
  it("is written once for all who wait for it, and then nobody does", async () => {
    const { cache, writes, find } = startKept();
    const known = await find();
    const [first, second] = [cache.keep(D, known), cache.keep(D, known)];
    expect([first, writes.length]).toEqual([expect.any(Promise), 1]);
    expect(second).toBe(first);
    writes[0]?.end.resolve();
    await first;
    expect(cache.keep(D, known)).toBeUndefined();
  });

  it("is written again where that failed", async () => {
    const { cache, writes, find } = startKept();
    const known = await find();
    const failed = cache.keep(D, known);
    writes[0]?.end.reject(new Error("disk"));
    await expect(failed).rejects.toThrow("disk");
    expect(cache.keep(D, known)).toBeInstanceOf(Promise);
    expect(writes).toHaveLength(2);
  });

  it("is waited for once while the disk hangs, and again when it is another", async () => {
    const { cache, clock, find } = startKept();
    expect(cache.keep(D, await find())).toBeInstanceOf(Promise);
    clock.advance(MINUTE);
    expect(cache.keep(D, await find())).toBeUndefined();
    clock.advance(MINUTE);
    expect(cache.keep(D, await find(all))).toBeInstanceOf(Promise);
  });

  it("is nothing where the state is unknown", async () => {
    const { cache, writes, find } = startKept();
    expect(cache.keep(D, await find(unknown))).toBeUndefined();
    expect(writes).toEqual([]);
  });
});

describe("with a policy of a domain", () => {
  it("goes what is known in memory, and is not written by itself", async () => {
    const { cache, clock, learn } = startCache();
    expect(cache.withPolicy(D, true), "nothing is known").toBeUndefined();
    await learn(all);
    const known = await cache.find(D, false);
    expect(cache.withPolicy(D, true)).toBe("all");
    expect(cache.keep(D, known)).toBeUndefined();
    clock.advance(MINUTE);
    expect(cache.withPolicy(D, true), "it holds no more").toBeUndefined();
  });

  it("goes what is known along with a later one, and is written by itself all the same", async () => {
    const { cache, learn } = startCache();
    await learn(all);
    const known = await cache.find(D, false);
    expect(cache.withPolicy(D, false)).toBe("all");
    expect(cache.keep(D, known)).toBeInstanceOf(Promise);
  });

  it("goes none at once where nothing is asked", async () => {
    const { cache, remembered, rely } = startAfterRestart(undefined, async () => none, {
      isUnasked: () => true,
    });
    expect(cache.withPolicy(D, true)).toBe("none");
    expect(cache.find(D, true)).toMatchObject({ state: none });
    await rely();
    expect(remembered).toEqual([]);
  });

  it("goes none too where nothing was asked before, and what came of that holds no more", async () => {
    const deps = { isUnasked: () => true };
    const { cache, clock, remembered, rely } = startAfterRestart(undefined, async () => none, deps);
    await cache.find(D, false);
    clock.advance(MINUTE);
    expect(cache.withPolicy(D, true)).toBe("none");
    await rely();
    expect(remembered).toEqual([]);
  });
});
