/**
 * Attacks on the lookup sockets, one after the other, each on a daemon of its own:
 *
 *     npm run build && tools/runtime/node test/hostile/run.ts [name…]
 *
 * Prints a table for docs/attacks.md; the exit status is 1 where something was not as expected.
 */
import { BUILT } from "../faults/soak/daemon.ts";
import { ATTACKS } from "./attacks.ts";
import { faultsOf } from "./judge.ts";
import { measure, type Outcome } from "./measure.ts";

const COLUMNS = [
  "attack",
  "input",
  "expected",
  "seen",
  "RSS MiB before, peak, after",
  "descriptors",
  "CPU",
  "p99 ms quiet, meanwhile",
  "ratio",
];

function row({ attack, seen, before, peak, after, cpu, quiet, during }: Outcome): string[] {
  const p99 = [quiet, during].map((times) => times.at(0.99));
  return [
    attack.name,
    attack.input,
    attack.expected,
    seen.text,
    [before, peak, after].map(({ rss }) => rss.toFixed(0)).join(", "),
    [before, peak, after].map(({ descriptors }) => descriptors).join(", "),
    `${(cpu * 100).toFixed(0)} %`,
    p99.map((time) => time.toFixed(1)).join(", "),
    ((p99[1] ?? 0) / (p99[0] ?? 1)).toFixed(1),
  ];
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => !ATTACKS.some((attack) => attack.name === name));
if (unknown.length > 0)
  throw new Error(`no attack ${unknown.join(", ")}: there are ${ATTACKS.map(({ name }) => name).join(", ")}`);

console.log(`| ${COLUMNS.join(" | ")} |`);
console.log(`|${" --- |".repeat(COLUMNS.length)}`);
for (const attack of ATTACKS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const outcome = await measure(attack, { main: BUILT, scale: 1, hurry: 1 });
  console.log(`| ${row(outcome).join(" | ")} |`);
  for (const fault of faultsOf(outcome)) {
    console.error(`${attack.name}: ${fault}`);
    process.exitCode = 1;
  }
}
