/** Makes inputs for a target, and more of those that run code that none has run before. */
import type { SeededRandom } from "../helpers/seeded-random.ts";
import { BlockCoverage } from "./coverage.ts";
import { mutated } from "./mutator.ts";
import type { FuzzTarget } from "./target.ts";

export interface FuzzOptions {
  readonly random: SeededRandom;
  /** What to begin with, beside the target's seeds. */
  readonly corpus: readonly Buffer[];
  readonly inputs: number;
  /** Milliseconds after which no more is tried. */
  readonly duration?: number;
  /** At the start of how many inputs it is looked which code they run. V8 is many times slower meanwhile. */
  readonly guided?: number;
}

export interface FuzzReport {
  readonly inputs: number;
  /** Milliseconds. */
  readonly duration: number;
  /** Inputs that ran code that none before had run. */
  readonly discoveries: readonly Buffer[];
  /** Blocks of code that were run; 0 where nobody looked. */
  readonly blocks: number;
  readonly slowest: { readonly input: Buffer; readonly milliseconds: number };
  readonly broken: Breach | undefined;
}

/** An input that breaks a rule, as short as could be. */
export interface Breach {
  readonly input: Buffer;
  readonly error: unknown;
}

/** Inputs between two looks at what was run. */
const BATCH = 250;

/** Fuzzes `target` until a rule is broken or enough was tried. */
export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const { random, inputs, duration = Infinity, guided = 0 } = options;
  using coverage = guided > 0 ? new BlockCoverage() : undefined;
  const startedAt = performance.now();
  const known = [...target.seeds.map((seed) => Buffer.from(seed, "latin1")), ...options.corpus];
  const discoveries: Buffer[] = [];
  const trial = new Trial(target);
  trial.run(known);
  coverage?.noteNew();
  while (!trial.isBroken && trial.inputs < inputs && performance.now() - startedAt < duration) {
    const size = Math.min(BATCH, inputs - trial.inputs);
    const batch = Array.from({ length: size }, () => mutated(known, target, random));
    trial.run(batch);
    if (trial.inputs >= guided) coverage?.stop();
    if (coverage === undefined || trial.isBroken || !coverage.sawNew()) continue;
    // One of them did it; which, is seen only one by one.
    for (const input of batch) {
      thrownBy(target, input);
      if (!coverage.noteNew()) continue;
      discoveries.push(input);
      known.push(input);
    }
  }
  const blocks = coverage?.seen ?? 0;
  const { inputs: tried, slowest, broken } = trial;
  return { inputs: tried, duration: performance.now() - startedAt, discoveries, blocks, slowest, broken };
}

/** What became of the inputs so far. */
class Trial {
  inputs = 0;
  slowest: FuzzReport["slowest"] = { input: Buffer.of(), milliseconds: 0 };
  broken: Breach | undefined;
  readonly #target: FuzzTarget;

  constructor(target: FuzzTarget) {
    this.#target = target;
  }

  get isBroken(): boolean {
    return this.broken !== undefined;
  }

  /** Up to the first that breaks a rule. */
  run(batch: readonly Buffer[]): void {
    for (const input of batch) {
      const before = performance.now();
      const error = thrownBy(this.#target, input);
      const milliseconds = performance.now() - before;
      this.inputs++;
      if (milliseconds > this.slowest.milliseconds) this.slowest = { input, milliseconds };
      if (error === undefined) continue;
      this.broken = { input: shortened(this.#target, input, error), error };
      return;
    }
  }
}

/** What is wrong with `input`; undefined where nothing is. */
function thrownBy(target: FuzzTarget, input: Buffer): unknown {
  try {
    target.check(input);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** `input` without all that the error does not need, as far as leaving out pieces shows it. */
function shortened(target: FuzzTarget, input: Buffer, error: unknown): Buffer {
  let shortest = input;
  for (let size = input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < shortest.length;) {
      const shorter = Buffer.concat([shortest.subarray(0, at), shortest.subarray(at + size)]);
      if (String(thrownBy(target, shorter)) === String(error)) shortest = shorter;
      else at += size;
    }
  }
  return shortest;
}
