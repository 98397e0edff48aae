/**
 * What is known of all renewals that are due. To read them all keeps commits waiting, so that is done rarely; between, only what
 * fell due since is read, and what had its turn is struck off.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { StoreError } from "../store/store.ts";
import type { Backlog, DuePin, PolicyStore, StoreErrorCode } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";
import type { Pressing } from "./renewal-pace.ts";

interface BacklogDeps {
  readonly store: PolicyStore;
  readonly events: LookupEvents;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly options: BacklogOptions;
}

/** In milliseconds. */
export interface BacklogOptions {
  /** A policy nobody asked for during this time is not renewed. */
  readonly unusedAfter: number;
  /** How often all that is due is read: what others renewed or deleted is counted until then. */
  readonly countInterval: number;
}

/** Pins known by name: at the fastest pace, with every other turn theirs, they last 40 seconds. */
const NAMED = 1_000;

/** Milliseconds: the thread that reads what is due may hang at a disk. */
const PATIENCE = 5_000;

export class RenewalBacklog implements Pressing {
  readonly #deps: BacklogDeps;
  #rows = 0;
  #named: DuePin[] = [];
  #othersFrom = Infinity;
  /** When all was read; undefined when that is to be done next. */
  #countedAt: number | undefined;
  /** All that was due then was read. */
  #seenUntil = 0;
  #isHanging = false;
  #failing: StoreErrorCode | undefined;

  constructor(deps: BacklogDeps) {
    this.#deps = deps;
  }

  get rows(): number {
    return this.#rows;
  }

  get firstToLapse(): readonly DuePin[] {
    return this.#named;
  }

  get othersFrom(): number {
    return this.#othersFrom;
  }

  /** A look that was given up is not answered yet. The thread that reads is the one that writes: nothing is written either. */
  get isHanging(): boolean {
    return this.#isHanging;
  }

  /**
   * Reads what fell due since the last look, or all. All takes the writer thread 40 ms where 200,000 are due, 150 to 300 ms for a
   * million; the other is three seeks for each day on which a policy was last used, 2 ms for sixty days. False, and nothing is
   * known, where the store cannot tell, or not soon; as long as it has not answered it is not asked again.
   */
  async look(signal: AbortSignal): Promise<boolean> {
    if (this.#isHanging) return false;
    const now = this.#deps.now();
    const isAll = this.#isCountDue(now);
    const found = await this.#ask(isAll ? 0 : this.#seenUntil, now, signal);
    if (isAll || found === undefined) this.#forget();
    if (found === undefined) return false;
    if (isAll) this.#countedAt = now;
    this.#seenUntil = now;
    this.#add(found, now);
    return true;
  }

  /** `domain` has its turn, or needs none. */
  strike(domain: string): void {
    const at = this.#named.findIndex((pin) => pin.domain === domain);
    if (at >= 0) this.#named.splice(at, 1);
    this.#rows = Math.max(this.#rows - 1, 0);
  }

  #isCountDue(now: number): boolean {
    if (this.#countedAt === undefined || now - this.#countedAt >= this.#deps.options.countInterval)
      return true;
    const isClockSetBack = now < this.#seenUntil;
    const areNamesUsedUp = this.#named.length === 0 && this.#othersFrom < Infinity;
    return isClockSetBack || areNamesUsedUp;
  }

  #forget(): void {
    [this.#rows, this.#named, this.#othersFrom] = [0, [], Infinity];
    this.#countedAt = undefined;
  }

  #add({ rows, firstToLapse }: Backlog, now: number): void {
    this.#rows += rows;
    if (rows > firstToLapse.length) this.#othersFrom = Math.min(this.#othersFrom, endOf(firstToLapse, now));
    const known = [...this.#named, ...firstToLapse]
      .filter(({ expiresAt }) => expiresAt > now && expiresAt <= this.#othersFrom)
      .sort((a, b) => a.expiresAt - b.expiresAt || a.dueAt - b.dueAt);
    this.#named = known.slice(0, NAMED);
    if (known.length > NAMED) this.#othersFrom = endOf(this.#named, now);
  }

  async #ask(dueAfter: number, now: number, signal: AbortSignal): Promise<Backlog | undefined> {
    const { store, options } = this.#deps;
    const over = new AbortController();
    const told = store.backlog(now, now - options.unusedAfter, NAMED, dueAfter);
    const either = AbortSignal.any([signal, over.signal]);
    const patience = sleep(PATIENCE, undefined, { signal: either }).catch(() => undefined);
    try {
      const answer = await Promise.race([told, patience]);
      if (answer === undefined) this.#waitForIt(told);
      else this.#failing = undefined;
      return answer;
    } catch (error) {
      this.#report(error);
      return undefined;
    } finally {
      over.abort();
    }
  }

  #waitForIt(told: Promise<Backlog>): void {
    this.#isHanging = true;
    const answered = () => {
      this.#isHanging = false;
    };
    told.then(answered, answered);
  }

  /** A failure that stands is told once. */
  #report(error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    if (error.code !== this.#failing) this.#deps.events.storeFailed("read", undefined, error);
    this.#failing = error.code;
  }
}

function endOf(pins: readonly DuePin[], now: number): number {
  return pins.at(-1)?.expiresAt ?? now;
}
