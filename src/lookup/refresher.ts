/**
 * Renews policies before they lapse (RFC 8461 §10.2), in the background and politely. The schedule is the rows of the
 * store: what is due is asked of it in small pages, so a restart forgets nothing and no table is read as a whole.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { StoreError } from "../store/store.ts";
import type { PolicyStore } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";

/** Durations in milliseconds. */
interface RefresherOptions {
  /** A policy nobody asked for during this time is not renewed. */
  readonly unusedAfter: number;
  /** Between two renewals that are started. A backlog after a long stop is worked off at this pace, not in a burst. */
  readonly pace: number;
  /** Renewals under way at once. */
  readonly concurrency: number;
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

/** Runs until `signal` fires; resolves when nothing it started is under way. Never rejects. */
export async function runRefresher(deps: RefresherDeps, signal: AbortSignal): Promise<void> {
  const { store, now, options } = deps;
  await tidy(deps, () => store.rebase(now()));
  let tidiedAt = now();
  while (!signal.aborted) {
    let wait = options.longestSleep;
    try {
      const isDone = await renewDue(deps, signal);
      // In either direction: the clock may have been set back.
      if (Math.abs(now() - tidiedAt) >= options.tidyInterval) {
        tidiedAt = now();
        await tidy(deps, () => store.rebase(tidiedAt));
        // Not at the start, when the clock of a machine without a battery is often wrong.
        const spentBefore = tidiedAt - options.keepSpent;
        await tidy(deps, () => store.deleteExpired(spentBefore, tidiedAt - options.unusedAfter));
      }
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
 * Works off what is due, page by page, at the pace of the options. Ends when all that is due has had its turn, and early
 * while the store cannot write: what is fetched then is forgotten. False when rows that had their turn may be due still.
 */
async function renewDue(deps: RefresherDeps, signal: AbortSignal): Promise<boolean> {
  const { store, refresh, now, options } = deps;
  const running = new Set<Promise<void>>();
  /** Rows of the last page: those still due when the next is read are under way, or could not be written. */
  let started = new Set<string>();
  try {
    for (;;) {
      const page = store.due(now(), now() - options.unusedAfter, PAGE).map(({ domain }) => domain);
      const fresh = page.filter((domain) => !started.has(domain));
      if (fresh.length === 0) return page.length === 0;
      started = new Set(page);
      for (const domain of fresh) {
        while (running.size >= options.concurrency) await Promise.race(running);
        if (signal.aborted) return false;
        const renewal = refresh(domain).finally(() => running.delete(renewal));
        running.add(renewal);
        await pause(options.pace, signal);
        if (!store.health().writable) return false;
      }
    }
  } finally {
    await Promise.all(running);
  }
}

async function tidy({ events }: RefresherDeps, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("write", undefined, error);
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
