/** Rows written while the clock was ahead. */
import type { Entry } from "./store.ts";

/** Milliseconds: a clock that is kept right by NTP is corrected by less than this. */
export const CLOCK_TOLERANCE = 60_000;

/** The latest moment at which something is said to have happened. */
function writtenAt({ pin, failure, checkedAt, usedAt }: Entry): number {
  return Math.max(pin?.fetchedAt ?? 0, failure?.failedAt ?? 0, checkedAt, usedAt);
}

/**
 * `entry`, or where it tells of moments after `now`, a copy that is moved back: what happened later happened now, and all that
 * is planned comes as much sooner. A policy fetched while the clock was ahead would hold, and stand in the way of newer ones,
 * until long after its max_age.
 */
export function rebased(entry: Entry, now: number): Entry {
  if (writtenAt(entry) <= now + CLOCK_TOLERANCE) return entry;
  const { pin, failure, checkedAt, checkAt, usedAt } = entry;
  const early = Math.max(pin?.fetchedAt ?? 0, failure?.failedAt ?? 0, checkedAt, now) - now;
  return {
    ...entry,
    pin: pin && {
      ...pin,
      fetchedAt: Math.min(pin.fetchedAt, now),
      expiresAt: pin.expiresAt - Math.max(pin.fetchedAt - now, 0),
      renewAt: pin.renewAt - early,
    },
    failure: failure && {
      ...failure,
      failedAt: Math.min(failure.failedAt, now),
      retryAt: failure.retryAt - early,
    },
    checkedAt: Math.min(checkedAt, now),
    checkAt: checkAt - early,
    usedAt: Math.min(usedAt, now),
  };
}
