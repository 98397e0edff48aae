/** The tables, for a terminal and for docs/performance.md. */
import type { Machine } from "./machine.ts";
import type { Cell, Check, Section } from "./section.ts";

/** All of a run; what `--json` writes. */
export interface Report {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly sections: readonly Section[];
}

const CHECK_COLUMNS = ["target", "wanted", "measured", "from – to", "verdict"];

export function asText({ machine, sections }: Report): string {
  const parts = sections.map((section) => {
    const tables = [aligned(section.columns, section.rows)];
    if (section.checks.length > 0) tables.push(aligned(CHECK_COLUMNS, section.checks.map(checkRow)));
    return [`== ${section.title}`, ...section.notes, "", tables.join("\n\n")].join("\n");
  });
  return [machineLine(machine), ...parts].join("\n\n");
}

export function asMarkdown({ machine, sections }: Report): string {
  const parts = sections.map((section) => {
    const tables = [markdownTable(section.columns, section.rows)];
    if (section.checks.length > 0) tables.push(markdownTable(CHECK_COLUMNS, section.checks.map(checkRow)));
    return [`### ${section.title}`, section.notes.join("\n"), tables.join("\n\n")].join("\n\n");
  });
  return [machineLine(machine), ...parts].join("\n\n");
}

function machineLine({ date, commit, cpu, cores, kernel, node, load }: Machine): string {
  const averages = load.map((value) => value.toFixed(2)).join(" before and ");
  return `${date} UTC, commit ${commit}: ${cpu}, ${cores} cores, Linux ${kernel}, Node ${node}; load average ${averages} after.`;
}

function checkRow({ what, value, low, high, bound, limit, unit, met }: Check): Cell[] {
  const amount = (number: number) => `${shown(number)}${unit === "×" ? "" : " "}${unit}`;
  const missed = limit === 0 ? "missed" : `missed by ${shown((Math.abs(value - limit) / limit) * 100)} %`;
  const verdict = met ? "met" : missed;
  return [what, `${bound} ${amount(limit)}`, amount(value), `${shown(low)} – ${shown(high)}`, verdict];
}

/** Three digits that count. */
function shown(value: Cell): string {
  if (typeof value === "string") return value;
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

function aligned(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const cells = [columns, ...rows.map((row) => row.map(shown))];
  const widths = columns.map((_, n) => Math.max(...cells.map((row) => (row[n] ?? "").length)));
  const isText = columns.map((_, n) => rows.every((row) => typeof row[n] === "string"));
  const line = (row: readonly string[]) =>
    row
      .map((cell, n) => (isText[n] === true ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
      .join("  ");
  return cells.map((row) => line(row).trimEnd()).join("\n");
}

function markdownTable(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const rule = columns.map((_, n) => (rows.every((row) => typeof row[n] === "string") ? "---" : "---:"));
  const lines = [columns, rule, ...rows.map((row) => row.map(shown))];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
