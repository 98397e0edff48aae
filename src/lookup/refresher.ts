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
  /** The shortest sleep between two rounds, so that rows the store cannot update are not gone round and round. */
  readonly shortestSleep: number;
  /** The longest sleep: policies that arrived meanwhile, by this or another process, are noticed after it. */
  readonly longestSleep: number;
  /** How often rows that say nothing any more are deleted. */
  readonly sweepInterval: number;
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

/** Rows read at once. */
const PAGE = 100;

/** Runs until `signal` fires; resolves when nothing it started is under way. Never rejects. */
export async function runRefresher(deps: RefresherDeps, signal: AbortSignal): Promise<void> {
  const { now, options } = deps;
  let sweptAt = now();
  while (!signal.aborted) {
    let wait = options.longestSleep;
    try {
      await renewDue(deps, signal);
      if (now() - sweptAt >= options.sweepInterval) {
        sweptAt = now();
        await deps.store.deleteExpired(sweptAt, sweptAt - options.unusedAfter);
      }
      const next = deps.store.nextDue(now(), now() - options.unusedAfter);
      wait = Math.min(Math.max((next ?? Infinity) - now(), options.shortestSleep), options.longestSleep);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      deps.events.storeFailed("read", undefined, error);
    }
    await pause(wait, signal);
  }
}

/** Works off what is due now, page by page, at the pace of the options; no domain twice. */
async function renewDue({ store, refresh, now, options }: RefresherDeps, signal: AbortSignal): Promise<void> {
  const tried = new Set<string>();
  const running = new Set<Promise<void>>();
  for (;;) {
    const due = store.due(now(), now() - options.unusedAfter, PAGE);
    const page = due.filter(({ domain }) => !tried.has(domain));
    if (page.length === 0) break;
    for (const { domain } of page) {
      if (running.size >= options.concurrency) await Promise.race(running);
      if (signal.aborted) break;
      tried.add(domain);
      const renewal = refresh(domain).finally(() => running.delete(renewal));
      running.add(renewal);
      await pause(options.pace, signal);
    }
    // The rows of this page must have been written before the next page is read.
    await Promise.all(running);
    if (signal.aborted) break;
  }
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
