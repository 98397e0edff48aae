/** The pause between two renewals. */
import { describe, expect, it } from "vitest";

import { renewalPause } from "../../src/lookup/renewal-pace.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { T0 } from "../store/entries.ts";

const OPTIONS = { fastestPace: 20, slowestPace: 2_000 };

/** `left`: milliseconds until the first pins lapse, in that order. */
function pauseFor(rows: number, ...left: number[]): number {
  const firstToLapse = left.map((ms, n) => ({ domain: `d${n}.example`, dueAt: T0, expiresAt: T0 + ms }));
  const othersFrom = rows > left.length ? T0 + (left.at(-1) ?? 0) : Infinity;
  return renewalPause({ rows, firstToLapse, othersFrom }, T0, OPTIONS);
}

describe("the pause between two renewals", () => {
  it.each<[rows: number, left: number[], pause: number, reason: string]>([
    [1, [DAY], 2_000, "there is no hurry"],
    [1, [SECOND], 125, "an eighth of the time left"],
    [1, [-DAY], 20, "the clock was stepped, or it lapsed meanwhile"],
    [0, [], 2_000, "another process was faster"],
    [100_000, [DAY], 108, "all of them in an eighth of a day"],
    [1_000_000, [DAY], 20, "there is no time for all of them, and nobody is to be stormed"],
    [100_000, [HOUR, 30 * DAY], 2_000, "one in a hurry has its turn at once"],
    [100_000, [HOUR, HOUR], 20, "there may be more that lapse in an hour than are named"],
    [2, [2 * SECOND, 2 * SECOND], 125, "two have two turns, not four"],
    [
      100_000,
      [6 * SECOND, 8 * SECOND, 30 * DAY],
      250,
      "the second of them has its turn among the first four",
    ],
    [100_000, [MINUTE, 8 * SECOND, 30 * DAY], 250, "whoever is the most pressing"],
  ])("of %i due of which the first lapse after %j ms is %i ms: %s", (rows, left, pause) => {
    expect(pauseFor(rows, ...left)).toBe(pause);
  });
});
