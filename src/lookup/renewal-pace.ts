/** How fast renewals follow one another: no faster than what is due needs, for each keeps lookups waiting a moment. */
import type { Backlog } from "../store/store.ts";

/** Milliseconds between two renewals that are started. */
export interface PaceOptions {
  /** However much is due and however soon it lapses. */
  readonly fastestPace: number;
  /** However little there is to be done. */
  readonly slowestPace: number;
}

export interface Pressing extends Backlog {
  /** Those that are not named lapse no sooner than this; Infinity when there are none. */
  readonly othersFrom: number;
}

/**
 * A pace is such that each would have its turn in this part of the time that it has left. Set anew again and again it becomes
 * slower as less is left to do: of many that lapse together, one in 2^8 still waits when half of the time is over. The rest is
 * for failures.
 */
const PART_OF_TIME_LEFT = 1 / 8;

/**
 * Milliseconds from the start of one renewal to the next, so that nothing of what is due lapses before it has its turn. Every
 * other turn is that of the pin that lapses first, so the n-th of these has its turn among the first 2n.
 */
export function renewalPause(
  { rows, firstToLapse, othersFrom }: Pressing,
  now: number,
  { fastestPace, slowestPace }: PaceOptions,
): number {
  const pauseFor = (turns: number, end: number): number => ((end - now) * PART_OF_TIME_LEFT) / turns;
  let pause = Math.min(slowestPace, pauseFor(Math.max(rows, 1), othersFrom));
  for (const [before, { expiresAt }] of firstToLapse.entries()) {
    pause = Math.min(pause, pauseFor(Math.min(2 * (before + 1), Math.max(rows, before + 1)), expiresAt));
  }
  return Math.max(pause, fastestPace);
}
