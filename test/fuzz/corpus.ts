/** Inputs worth keeping: a file for each target, a line for each input, as a JSON string with one char per octet. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FuzzTarget } from "./target.ts";

/** Octets of the longest that is kept. */
const LONGEST = 512;

function fileOf({ name }: FuzzTarget): string {
  return join(import.meta.dirname, "corpus", `${name}.jsonl`);
}

export function readCorpus(target: FuzzTarget): Buffer[] {
  const file = fileOf(target);
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
  return lines.filter((line) => line !== "").map((line) => Buffer.from(String(JSON.parse(line)), "latin1"));
}

/** Adds `inputs` to the corpus, but for long ones. */
export function keep(target: FuzzTarget, inputs: readonly Buffer[]): void {
  const lines = [...readCorpus(target), ...inputs]
    .filter((input) => input.length <= LONGEST)
    .map((input) => JSON.stringify(input.toString("latin1")).replace(/[\x7f-\xff]/g, escaped));
  if (lines.length > 0)
    writeFileSync(fileOf(target), [...new Set(lines)].map((line) => `${line}\n`).join(""));
}

function escaped(char: string): string {
  return `\\u00${char.charCodeAt(0).toString(16)}`;
}
