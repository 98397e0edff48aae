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

/** A cache over discoveries that end when the test says so. */
function startCache({ memoryEntries = 100, patience = MINUTE } = {}) {
  const clock = new Clock();
  const running: { domain: string; end: (state: DaneState, ttl: number) => void }[] = [];
  const asked: string[] = [];
  const cache = new DaneCache({
    recall: () => undefined,
    remember: () => {},
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
    expect(cache.find(D, false)).toEqual({ state: all, until: clock.now() + 1 });
    expect(asked).toEqual([D]);

    clock.advance(1);
    const found = cache.find(D, false);
    expect(asked).toEqual([D, D]);
    end(none);
    expect(await found).toEqual({ state: none, until: clock.now() + MINUTE });
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

const startAfterRestart = (lastKnown: KnownDaneKind | undefined, discover: () => Promise<DaneState>) => {
  const remembered: string[] = [];
  const cache = new DaneCache({
    recall: () => lastKnown,
    remember: (domain, kind) => remembered.push(`${domain} ${kind}`),
    discover: async () => ({ state: await discover(), ttl: 60 }),
    now: new Clock().now,
    options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
  });
  return { cache, remembered };
};

describe("what was last known before a restart", () => {
  it("stands in while DNS cannot be asked", async () => {
    const { cache, remembered } = startAfterRestart("none", async () => unknown);
    expect((await cache.find(D, true)).state).toEqual(unknownAfter("none"));
    expect(remembered).toEqual([]);
  });

  it("gives way to what is found, which is remembered once", async () => {
    const { cache, remembered } = startAfterRestart("none", async () => all);
    expect((await cache.find(D, true)).state).toEqual(all);
    expect(remembered).toEqual([`${D} all`]);
    const same = startAfterRestart("all", async () => all);
    await same.cache.find(D, true);
    expect(same.remembered).toEqual([]);
  });

  it("is not replaced where nothing was asked, because the resolver is not trusted", async () => {
    const clock = new Clock();
    const remembered: string[] = [];
    let isUnasked = true;
    const cache = new DaneCache({
      recall: () => "all",
      remember: (_, kind) => remembered.push(kind),
      discover: async () => (isUnasked ? { state: none, ttl: 30, isUnasked } : { state: unknown, ttl: 30 }),
      now: clock.now,
      options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
    });
    expect((await cache.find(D, true)).state).toEqual(none);
    expect(remembered).toEqual([]);
    isUnasked = false;
    clock.advance(MINUTE);
    expect((await cache.find(D, false)).state).toEqual(unknownAfter("all"));
  });

  it("is none, where nothing was known and nothing is asked, so that an outage lifts no policy", async () => {
    const remembered: string[] = [];
    const cache = new DaneCache({
      recall: () => undefined,
      remember: (_, kind) => remembered.push(kind),
      discover: async () => ({ state: none, ttl: 30, isUnasked: true }),
      now: new Clock().now,
      options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
    });
    await cache.find(D, true);
    expect(remembered).toEqual(["none"]);
  });

  it("is noted again as long as it was not kept, the domain having had no row", async () => {
    const clock = new Clock();
    const noted: string[] = [];
    const cache = new DaneCache({
      recall: () => undefined,
      remember: (_, kind) => noted.push(kind),
      discover: async () => ({ state: none, ttl: 30 }),
      now: clock.now,
      options: { memoryEntries: 10, holdMin: SECOND, holdMax: DAY, patience: MINUTE },
    });
    await cache.find(D, false);
    clock.advance(MINUTE);
    await cache.find(D, false);
    expect(noted).toEqual(["none", "none"]);
  });

  it("does not hide what a failed discovery says of the MX set", async () => {
    const { cache } = startAfterRestart("all", async () => unknownAfter("insecure-mx"));
    expect((await cache.find(D, true)).state).toEqual(unknownAfter("insecure-mx"));
  });

  it("a discovery that fails otherwise, or a store that cannot be read, makes the state unknown", async () => {
    const cache = new DaneCache({
      recall: () => {
        throw new Error("disk");
      },
      remember: () => {},
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
