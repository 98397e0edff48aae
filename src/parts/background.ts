/** What runs beside the answering: renewals, the watch on the clock, and on other processes at the same file. */
import { watchClock } from "../clock.ts";
import type { Config } from "../config.ts";
import type { DaneCache } from "../lookup/dane/dane-cache.ts";
import type { LookupEngine } from "../lookup/engine.ts";
import type { LookupEvents } from "../lookup/events.ts";
import { runRefresher } from "../lookup/refresher.ts";
import { StoreError } from "../store/store.ts";
import type { PolicyStore, StoreErrorCode } from "../store/store.ts";

/**
 * In milliseconds. At fifty renewals a second even a backlog of 200,000 is worked off in little more than an hour. But each
 * keeps the main thread busy for half a millisecond and more, for up to 12 at a slow pace, where nothing is warm; and who asks
 * meanwhile waits. Where there is no hurry there is one in two seconds, which is enough for 190,000 policies of a week.
 */
const REFRESHER_OPTIONS = {
  fastestPace: 20,
  slowestPace: 2_000,
  // With the slowest pace these two are to be less than twelve seconds: a policy of a minute, the shortest that is believed,
  // falls due no later before its end.
  lookInterval: 5_000,
  longestSleep: 10_000,
  shortestSleep: 1_000,
  countInterval: 300_000,
  unwrittenRest: 300_000,
  tidyInterval: 3_600_000,
  keepSpent: 86_400_000,
};

/** Renewals get this part of the fetches at once, so that dead policy hosts among them keep no client waiting. */
const RENEWAL_PART = 0.25;

/** How often it is looked whether another process wrote to the same file, in milliseconds. */
const SHARED_STORE_INTERVAL = 1_000;

/** In milliseconds. */
const CLOCK_WATCH = { interval: 1_000, tolerance: 60_000 };

interface Watched {
  readonly engine: LookupEngine;
  readonly store: PolicyStore;
  readonly events: LookupEvents;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function renewalsAtOnce({ fetch }: Config): number {
  return Math.ceil(fetch.concurrency * RENEWAL_PART);
}

/** Renews policies until `signal` fires; resolves when nothing is under way any more. */
export function startRefresher(
  config: Config,
  { engine, ...parts }: Watched,
  signal: AbortSignal,
): Promise<void> {
  const { unusedAfter } = config.freshness;
  const options = { ...REFRESHER_OPTIONS, concurrency: renewalsAtOnce(config), unusedAfter };
  return runRefresher({ ...parts, refresh: (domain) => engine.renew(domain), options }, signal);
}

/** Has what another process writes to the same file read again. Returns what ends it. */
export function watchSharedStore(parts: Watched): () => void {
  let failing: StoreErrorCode | undefined;
  const look = () => {
    const error = forgetChanged(parts);
    // A failure that stands is told once.
    if (error !== undefined && error.code !== failing) parts.events.storeFailed("read", undefined, error);
    failing = error?.code;
  };
  const timer = setInterval(look, SHARED_STORE_INTERVAL);
  return () => clearInterval(timer);
}

/** Has times that were taken from a clock that stepped set right. Returns what ends it. */
export function watchSteps(
  parts: Watched,
  dane: DaneCache,
  stepped: (milliseconds: number) => void,
): () => void {
  const onStep = (milliseconds: number) => {
    stepped(milliseconds);
    parts.engine.rebase(parts.now());
    dane.expire();
    void rebase(parts);
  };
  return watchClock({ wall: parts.now, steady: () => performance.now(), onStep, ...CLOCK_WATCH });
}

async function rebase({ store, events, now }: Watched): Promise<void> {
  try {
    await store.rebase(now());
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("write", undefined, error);
  }
}

function forgetChanged({ engine, store }: Watched): StoreError | undefined {
  try {
    for (const domain of store.changedElsewhere()) engine.forget(domain);
    return undefined;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return error;
  }
}
