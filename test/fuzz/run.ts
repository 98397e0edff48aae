/** Fuzzes the targets named, or all: `npm run fuzz -- [target…] [--inputs N] [--seconds N] [--seed N] [--growth N] [--keep]`. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { SeededRandom } from "../helpers/seeded-random.ts";
import { keep, readCorpus } from "./corpus.ts";
import { fuzz, type Breach } from "./fuzzer.ts";
import { findGrowth } from "./growth.ts";
import type { FuzzTarget } from "./target.ts";
import { TARGETS } from "./targets/all.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** For each target. */
    inputs: { type: "string", default: "100000" },
    /** For each target; whichever comes first. */
    seconds: { type: "string" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    /** Of these, how many at the start are guided by what code they run. */
    guided: { type: "string", default: "5000" },
    /** Repeated pieces whose time is measured at two lengths. */
    growth: { type: "string", default: "0" },
    /** Adds to the corpus what ran code that nothing in it runs. */
    keep: { type: "boolean", default: false },
  },
});

const unknown = positionals.filter((name) => TARGETS.every((target) => target.name !== name));
if (unknown.length > 0)
  throw new Error(`no target ${unknown.join(", ")}; there are ${TARGETS.map(({ name }) => name).join(", ")}`);
const chosen = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

console.log(`seed ${values.seed}`);
let total = 0;
for (const target of chosen) total += run(target);
console.log(`${total} inputs`);

function run(target: FuzzTarget): number {
  const corpus = readCorpus(target);
  const random = new SeededRandom(Number(values.seed));
  const limit = values.seconds === undefined ? {} : { duration: Number(values.seconds) * 1_000 };
  const report = fuzz(target, {
    random,
    corpus,
    inputs: Number(values.inputs),
    guided: Number(values.guided),
    ...limit,
  });
  const { inputs, duration, discoveries, blocks, slowest, broken } = report;
  if (values.keep) keep(target, discoveries);
  console.log(
    `${target.name}: ${inputs} inputs in ${(duration / 1_000).toFixed(1)} s, ${blocks} blocks run, ` +
      `${discoveries.length} discoveries, the slowest ${slowest.milliseconds.toFixed(1)} ms`,
  );
  if (broken !== undefined) tell(target, broken);
  const growth = findGrowth(target, corpus, Number(values.growth), random);
  if (growth !== undefined) {
    const { input, small, large } = growth;
    const error = new Error(`${small.toFixed(0)} ms, and ${large.toFixed(0)} ms for four times the length`);
    tell(target, { input: input.subarray(0, 200), error });
  }
  return inputs;
}

function tell({ name }: FuzzTarget, { input, error }: Breach): void {
  process.exitCode = 1;
  console.log(`${name}: broken by ${JSON.stringify(input.toString("latin1"))}`);
  console.log(error);
}
