/**
 * Renews policies before they lapse (RFC 8461 §10.2), in the background and politely. The schedule is the rows of the
 * store: what is due is asked of it in small pages, so a restart forgets nothing and no table is read as a whole.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { dueAt, StoreError } from "../store/store.ts";
import type { Backlog, DuePin, PolicyStore } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";
import { type PaceOptions, renewalPause } from "./renewal-pace.ts";

/** Durations in milliseconds. */
interface RefresherOptions extends PaceOptions {
  /** A policy nobody asked for during this time is not renewed. */
  readonly unusedAfter: number;
  /** Renewals under way at once. */
  readonly concurrency: number;
  /** How often it is looked what is due, while there is something: what falls due and lapses soon is seen after it. */
  readonly lookInterval: number;
  /** The shortest sleep between two rounds. */
  readonly shortestSleep: number;
  /** The longest sleep: policies that arrived meanwhile, by this or another process, are noticed after it. */
  readonly longestSleep: number;
  /** How often rows that say nothing any more are deleted, and those from a clock that was ahead put right. */
  readonly tidyInterval: number;
  /** How long such a row is kept all the same: should the clock be ahead, what it ended is there again once it is right. */
  readonly keepSpent: number;
}

export interface RefresherDeps {
  readonly store: PolicyStore;
  /** Renews one domain; never rejects. */
  readonly refresh: (domain: string) => Promise<void>;
  readonly events: LookupEvents;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly options: RefresherOptions;
}

/** Rows read at once; more than ever are under way, so that each page brings new ones. */
const PAGE = 100;

/** Milliseconds: the thread that counts what is due may hang at a disk. */
const BACKLOG_PATIENCE = 5_000;

type Due = Pick<DuePin, "domain" | "dueAt">;

/** What has the next turns, and the pause between two of them. */
interface Plan {
  readonly turns: readonly Due[];
  readonly pause: number;
}

/** Runs until `signal` fires; resolves when nothing it started is under way. Never rejects. */
export async function runRefresher(deps: RefresherDeps, signal: AbortSignal): Promise<void> {
  const { store, now, options } = deps;
  await tidy(deps, () => store.rebase(now()));
  let tidiedAt = now();
  const tidyOften = async (): Promise<void> => {
    // In either direction: the clock may have been set back.
    if (Math.abs(now() - tidiedAt) < options.tidyInterval) return;
    tidiedAt = now();
    await tidy(deps, () => store.rebase(tidiedAt));
    // Not at the start, when the clock of a machine without a battery is often wrong.
    const spentBefore = tidiedAt - options.keepSpent;
    await tidy(deps, () => store.deleteExpired(spentBefore, tidiedAt - options.unusedAfter));
  };
  while (!signal.aborted) {
    let wait = options.longestSleep;
    try {
      const isDone = await renewDue(deps, tidyOften, signal);
      const left = (store.nextDue(now(), now() - options.unusedAfter) ?? Infinity) - now();
      // What had its turn and is due still could not be written: to go round and round would be at the policy hosts' cost.
      if (isDone || left > 0) wait = Math.min(Math.max(left, options.shortestSleep), options.longestSleep);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      deps.events.storeFailed("read", undefined, error);
    }
    await pause(wait, signal);
  }
}

/**
 * Works off what is due, page by page, with `betweenPages` before each: there may be days of work. Ends when all that is due has
 * had its turn, and early while the store cannot write: what is fetched then is forgotten. False when rows that had their turn
 * may be due still.
 */
async function renewDue(
  deps: RefresherDeps,
  betweenPages: () => Promise<void>,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, refresh, now, options } = deps;
  const running = new Set<Promise<void>>();
  /** Those of the last pages that had their turn. Where one is due since the same moment, it is under way or was not written. */
  let started = new Map<string, number>();
  try {
    for (;;) {
      await betweenPages();
      const plan = await nextTurns(deps, signal);
      const lookedAt = now();
      const isStarted = (due: Due) => started.get(due.domain) === due.dueAt;
      const fresh = plan.turns.filter((due) => !isStarted(due));
      if (fresh.length === 0) return plan.turns.length === 0;
      started = new Map(plan.turns.filter(isStarted).map((due) => [due.domain, due.dueAt]));
      for (const { domain, dueAt: since } of fresh) {
        while (running.size >= options.concurrency) await Promise.race(running);
        if (signal.aborted) return false;
        started.set(domain, since);
        const renewal = refresh(domain).finally(() => running.delete(renewal));
        running.add(renewal);
        await pause(plan.pause, signal);
        if (!store.health().writable) return false;
        // In either direction, as above.
        if (Math.abs(now() - lookedAt) >= options.lookInterval) break;
      }
    }
  } finally {
    await Promise.all(running);
  }
}

/** Throws {@link StoreError} where the store cannot be read. */
async function nextTurns(deps: RefresherDeps, signal: AbortSignal): Promise<Plan> {
  const { store, now, options } = deps;
  const page = store.due(now(), now() - options.unusedAfter, PAGE);
  const longestDue = page.map((entry) => ({ domain: entry.domain, dueAt: dueAt(entry) ?? 0 }));
  if (longestDue.length === 0) return { turns: [], pause: options.fastestPace };
  const backlog = await backlogOf(deps, signal);
  if (backlog === undefined) return { turns: longestDue, pause: options.fastestPace };
  return {
    turns: alternating(longestDue, backlog.firstToLapse),
    pause: renewalPause(backlog, now(), options),
  };
}

/** Undefined where the store cannot tell, or not soon. */
async function backlogOf(deps: RefresherDeps, signal: AbortSignal): Promise<Backlog | undefined> {
  const { store, events, now, options } = deps;
  const over = new AbortController();
  try {
    const told = store.backlog(now(), now() - options.unusedAfter, PAGE);
    const patience = pause(BACKLOG_PATIENCE, AbortSignal.any([signal, over.signal]));
    return await Promise.race([told, patience]);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("read", undefined, error);
    return undefined;
  } finally {
    over.abort();
  }
}

/**
 * Every other turn is that of the pin that lapses first, so that a policy of an hour does not wait behind many of a week. The
 * turns between are of those due longest: anyone may publish thousands of policies that hold for a minute.
 */
function alternating(longestDue: readonly Due[], firstToLapse: readonly Due[]): Due[] {
  const turns = new Map<string, Due>();
  for (let n = 0; n < Math.max(longestDue.length, firstToLapse.length); n++) {
    for (const due of [longestDue[n], firstToLapse[n]]) if (due) turns.set(due.domain, due);
  }
  return [...turns.values()];
}

async function tidy({ events }: RefresherDeps, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("write", undefined, error);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<undefined> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
