/** Looks for time that grows with the square of an input's length: pieces of inputs, repeated, at two lengths. */
import type { SeededRandom } from "../helpers/seeded-random.ts";
import { mutated } from "./mutator.ts";
import type { FuzzTarget } from "./target.ts";

/** Octets; the second takes 4 times as long where time grows with the length, and 16 times where it grows with the square. */
const SMALL = 8 * 1024;
const LARGE = 4 * SMALL;
const MOST_TIMES = 9;
/** Milliseconds below which the clock says little. */
const GRACE = 40;

export interface Growth {
  readonly input: Buffer;
  readonly small: number;
  readonly large: number;
}

/** An input that costs far more than its length, if one of `tries` does; each time is the best of three. */
export function findGrowth(
  target: FuzzTarget,
  corpus: readonly Buffer[],
  tries: number,
  random: SeededRandom,
): Growth | undefined {
  const known = [...target.seeds.map((seed) => Buffer.from(seed, "latin1")), ...corpus];
  for (let left = tries; left > 0; left--) {
    const input = mutated(known, target, random);
    const from = random.below(input.length + 1);
    const to = Math.min(input.length, from + 1 + random.below(8));
    if (from === to) continue;
    const pumped = (length: number): Buffer =>
      Buffer.concat([
        input.subarray(0, from),
        Buffer.alloc(length, input.subarray(from, to)),
        input.subarray(to),
      ]);
    const once = cost(target, pumped(LARGE), 1);
    if (once < GRACE) continue;
    const [small, large] = [cost(target, pumped(SMALL), 3), Math.min(once, cost(target, pumped(LARGE), 2))];
    if (large > MOST_TIMES * small + GRACE) return { input: pumped(LARGE), small, large };
  }
  return undefined;
}

/** Milliseconds of processor time, the best of `times`. */
function cost(target: FuzzTarget, input: Buffer, times: number): number {
  const costs = Array.from({ length: times }, () => {
    const before = process.cpuUsage();
    try {
      target.check(input);
    } catch {
      // The length breaks rules of its own; only the time counts here.
    }
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...costs);
}
