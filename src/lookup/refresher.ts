/**
 * Renews policies before they lapse (RFC 8461 §10.2), in the background and politely. The schedule is the rows of the
 * store: what is due is asked of it in small pages, so a restart forgets nothing and no table is read as a whole.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { dueAt, StoreError } from "../store/store.ts";
import type { DuePin, PolicyStore, StoreErrorCode } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";
import { type BacklogOptions, RenewalBacklog } from "./renewal-backlog.ts";
import { type PaceOptions, renewalPause } from "./renewal-pace.ts";

/** Durations in milliseconds. */
interface RefresherOptions extends PaceOptions, BacklogOptions {
  /** Renewals under way at once. */
  readonly concurrency: number;
  /** How often it is looked what is due, while there is something: what falls due and lapses soon is seen after it. */
  readonly lookInterval: number;
  /** The shortest sleep while nothing is due. */
  readonly shortestSleep: number;
  /** The longest: policies that arrived meanwhile, by this or another process, are noticed after it. */
  readonly longestSleep: number;
  /** What had its turn and could not be written is due still, and rests so long: each try is at a policy host's cost. */
  readonly unwrittenRest: number;
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

/** Rows read at once, beside those that had their turn: each page brings new ones. */
const PAGE = 100;

/** So many that had their turn and are not written: the disk hangs. */
const MOST_UNWRITTEN = 1_000;

type Due = Pick<DuePin, "domain" | "dueAt">;

/** Runs until `signal` fires; resolves when nothing it started is under way. Never rejects. */
export async function runRefresher(deps: RefresherDeps, signal: AbortSignal): Promise<void> {
  const { store, now, options } = deps;
  await tidy(deps, () => store.rebase(now()));
  let tidiedAt = now();
  const refresher = new Refresher(deps, signal);
  let failing: StoreErrorCode | undefined;
  while (!signal.aborted) {
    // In either direction: the clock may have been set back.
    if (Math.abs(now() - tidiedAt) >= options.tidyInterval) {
      tidiedAt = now();
      await tidy(deps, () => store.rebase(tidiedAt));
      // Not at the start, when the clock of a machine without a battery is often wrong.
      const spentBefore = tidiedAt - options.keepSpent;
      await tidy(deps, () => store.deleteExpired(spentBefore, tidiedAt - options.unusedAfter));
    }
    try {
      if (!(await refresher.giveTurns())) await refresher.rest();
      failing = undefined;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // A failure that stands is told once.
      if (error.code !== failing) deps.events.storeFailed("read", undefined, error);
      failing = error.code;
      await pause(options.longestSleep, signal);
    }
  }
  await refresher.end();
}

class Refresher {
  readonly #deps: RefresherDeps;
  readonly #signal: AbortSignal;
  readonly #backlog: RenewalBacklog;
  readonly #running = new Map<string, Promise<void>>();
  /** What had its turn and is due still, since the same moment; in the order of their turns. */
  readonly #unwritten = new Map<string, { readonly dueAt: number; readonly at: number }>();
  #turns = 0;
  #lastTurnAt = -Infinity;
  /** Milliseconds from a turn to the next while nothing can be written. */
  #hold: number;

  constructor(deps: RefresherDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#backlog = new RenewalBacklog(deps);
    this.#hold = deps.options.longestSleep;
  }

  /** Starts renewals until a page of what is due is worked off, or it is time to look again. False when there is none to start. */
  async giveTurns(): Promise<boolean> {
    const { now, options } = this.#deps;
    this.#endRests();
    if (this.#isHeld()) return false;
    const page = this.#longestDue();
    if (page.length === 0) return false;
    const isKnown = await this.#backlog.look(this.#signal);
    if (this.#isHeld()) return false;
    const pace = isKnown ? renewalPause(this.#backlog, now(), options) : options.fastestPace;
    const lookedAt = now();
    let hasStarted = false;
    while (page.length > 0) {
      if (this.#running.size >= options.concurrency) await Promise.race(this.#running.values());
      // In either direction, as above.
      if (this.#signal.aborted || Math.abs(now() - lookedAt) >= options.lookInterval) break;
      const due = this.#next(page);
      if (due === undefined) return hasStarted;
      this.#start(due);
      hasStarted = true;
      await pause(pace, this.#signal);
      if (this.#isHeld()) return false;
    }
    return true;
  }

  /** Waits until something may have to be started. What is under way is due still: of more the store says nothing meanwhile. */
  async rest(): Promise<void> {
    const { store, now, options } = this.#deps;
    let wait = options.lookInterval;
    if (this.#running.size === 0) {
      const left = (store.nextDue(now(), now() - options.unusedAfter) ?? Infinity) - now();
      const isStuck = this.#unwritten.size > 0 || !this.#isWritable();
      if (left > 0 || !isStuck) wait = Math.min(Math.max(left, options.shortestSleep), options.longestSleep);
    }
    const over = new AbortController();
    const rested = pause(wait, AbortSignal.any([this.#signal, over.signal]));
    await Promise.race([rested, ...this.#running.values()]);
    over.abort();
  }

  async end(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** While nothing can be written, what is fetched is forgotten: a try now and then is enough, ever more seldom. */
  #isHeld(): boolean {
    if (this.#unwritten.size >= MOST_UNWRITTEN) return true;
    return !this.#isWritable() && Math.abs(this.#deps.now() - this.#lastTurnAt) < this.#hold;
  }

  #isWritable(): boolean {
    return this.#deps.store.health().writable && !this.#backlog.isHanging;
  }

  #endRests(): void {
    const { now, options } = this.#deps;
    for (const [domain, { at }] of this.#unwritten) {
      // In either direction, as above.
      if (Math.abs(now() - at) >= options.unwrittenRest) this.#unwritten.delete(domain);
    }
  }

  #longestDue(): Due[] {
    const { store, now, options } = this.#deps;
    const limit = PAGE + this.#running.size + this.#unwritten.size;
    return store
      .due(now(), now() - options.unusedAfter, limit)
      .map((entry) => ({ domain: entry.domain, dueAt: dueAt(entry) ?? 0 }))
      .filter((due) => !this.#hadTurn(due));
  }

  /**
   * Every other turn is that of the pin that lapses first, so that a policy of an hour does not wait behind many of a week. The
   * turns between are of those due longest: anyone may publish thousands of policies that hold for a minute.
   */
  #next(longestDue: Due[]): Due | undefined {
    for (;;) {
      const [first, longest] = [this.#backlog.firstToLapse[0], longestDue[0]];
      const due = this.#turns % 2 === 0 ? (first ?? longest) : (longest ?? first);
      if (due === undefined) return undefined;
      this.#backlog.strike(due.domain);
      const at = longestDue.findIndex(({ domain }) => domain === due.domain);
      if (at >= 0) longestDue.splice(at, 1);
      if (this.#hadTurn(due) || !this.#isDueStill(due)) continue;
      this.#turns++;
      return due;
    }
  }

  #hadTurn(due: Due): boolean {
    return this.#running.has(due.domain) || this.#unwritten.get(due.domain)?.dueAt === due.dueAt;
  }

  /** Mail to the domain, or another process, may have had it renewed since it was read. */
  #isDueStill(due: Due): boolean {
    const entry = this.#deps.store.get(due.domain);
    return entry !== undefined && dueAt(entry) === due.dueAt;
  }

  #start(due: Due): void {
    const { now, options } = this.#deps;
    this.#lastTurnAt = now();
    this.#hold = this.#isWritable() ? options.longestSleep : Math.min(this.#hold * 2, options.unwrittenRest);
    const renewal = this.#deps.refresh(due.domain).finally(() => this.#ended(due));
    this.#running.set(due.domain, renewal);
  }

  #ended(due: Due): void {
    this.#running.delete(due.domain);
    this.#unwritten.delete(due.domain);
    try {
      if (!this.#isDueStill(due)) return;
    } catch (error) {
      // The next page tells of it.
      if (!(error instanceof StoreError)) throw error;
    }
    this.#unwritten.set(due.domain, { dueAt: due.dueAt, at: this.#deps.now() });
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
