/** Simulated months: `node test/faults/simulate.ts [--seeds 1000] [--first 1] [--days 30]`. A failure names the seed that repeats it. */
import { parseArgs } from "node:util";
import { simulateMonth } from "./simulation/month.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "1" },
    days: { type: "string", default: "30" },
  },
});
const [first, seeds, days] = [Number(values.first), Number(values.seeds), Number(values.days)];

// Thousands of errors are made on purpose, and nobody looks where.
Error.stackTraceLimit = 0;
const startedAt = performance.now();
const total: Record<string, number> = {};
let broken = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const { violations, counts } = await simulateMonth({ seed, days });
  if ((seed - first) % 50 === 49) console.error(`${seed - first + 1} seeds done`);
  for (const [what, count] of Object.entries(counts)) total[what] = (total[what] ?? 0) + count;
  if (violations.length === 0) continue;
  broken++;
  console.log(`seed ${seed}: ${violations.length} violations, first ${violations.slice(0, 3).join("\n  ")}`);
}
console.log(
  `${seeds} seeds of ${days} days in ${((performance.now() - startedAt) / 1_000).toFixed(0)} s:`,
  total,
);
console.log(broken === 0 ? "no invariant was broken" : `${broken} seeds broke invariants`);
process.exitCode = broken === 0 ? 0 : 1;
