/**
 * `npm run bench [-- scenario…] [--quick] [--rounds n] [--seconds n] [--soak n] [--alone] [--json file] [--markdown file]`: see
 * docs/performance.md. Root gets everything; others what needs no namespaces.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine, loadAverage, pinned } from "./machine.ts";
import { enterBench, insideBench, prepareBench } from "./namespaces.ts";
import { asMarkdown, asText, type Report } from "./report.ts";
import type { Scenario, Surroundings } from "./scenario.ts";
import type { Section } from "./section.ts";
import { SCENARIOS } from "./scenarios/all.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    seconds: { type: "string" },
    soak: { type: "string" },
    alone: { type: "boolean", default: false },
    json: { type: "string" },
    markdown: { type: "string" },
  },
});

function chosen(): readonly Scenario[] {
  const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  const names = SCENARIOS.map(({ name }) => name).join(", ");
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(", ")}: there are ${names}`);
  return positionals.length === 0 ? SCENARIOS : SCENARIOS.filter(({ name }) => positionals.includes(name));
}

async function measure(surroundings: Surroundings): Promise<Report> {
  const before = loadAverage();
  const sections: Section[] = [];
  for (const scenario of chosen()) {
    const begin = performance.now();
    sections.push(...(await scenario.run(surroundings)));
    console.error(`${scenario.name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  }
  return { machine: describeMachine(before), quick: surroundings.quick, sections };
}

async function main(isRoot: boolean): Promise<void> {
  const { quick } = values;
  const folder = mkdtempSync(join(tmpdir(), "stsmapd-bench-"));
  try {
    const report = await measure({
      folder,
      quick,
      isRoot,
      keys: quick ? 100 : 1_000,
      rounds: Number(values.rounds ?? (quick ? 1 : 5)),
      seconds: Number(values.seconds ?? (quick ? 0.1 : 3)),
      warmUp: quick ? 0.05 : 0.5,
      soak: Number(values.soak ?? (quick ? 0.2 : 60)),
    });
    console.log(asText(report));
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
    if (values.markdown !== undefined) writeFileSync(values.markdown, `${asMarkdown(report)}\n`);
    const faults = report.sections.reduce((sum, section) => sum + section.faults, 0);
    if (faults > 0) {
      console.error(`${faults} replies of stsmapd were wrong or missing`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isRoot = process.getuid?.() === 0;
if (insideBench()) {
  if (isRoot) await prepareBench();
  await main(isRoot);
} else {
  chosen();
  const command = pinned("load", [process.execPath, import.meta.filename, ...process.argv.slice(2)]);
  // On a machine that others use: nobody else runs while we want to.
  const ahead = values.alone ? ["chrt", "--rr", "1"] : [];
  process.exitCode = await enterBench([...ahead, ...command], isRoot);
}
