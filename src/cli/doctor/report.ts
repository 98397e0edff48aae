/** The findings as a table for people, and as JSON. */
import { VERSION } from "../../version.ts";
import { printable } from "../fields.ts";
import { worst } from "./finding.ts";
import type { Finding, Status } from "./finding.ts";

const COLOURS: Record<Status, number> = { ok: 32, warning: 33, problem: 31, skipped: 90, unknown: 33 };

/** A line for each check, below it the commands that mend it, and the worst of all at the end. */
export function renderFindings(findings: readonly Finding[], coloured: boolean): string {
  const paint = (status: Status, text: string) =>
    coloured ? `\x1b[${COLOURS[status]}m${text}\x1b[0m` : text;
  const width = Math.max(...findings.map(({ check }) => check.length)) + 2;
  const lines = findings.flatMap(({ check, status, found, mend }) => [
    `${paint(status, status.padEnd(9))}${check.padEnd(width)}${printable(found)}`,
    ...mend.map(
      (command) => `${" ".repeat(9 + width)}${command.startsWith("#") ? "" : "$ "}${printable(command)}`,
    ),
  ]);
  const counts = Map.groupBy(findings, ({ status }) => status);
  const count = (status: Status, noun: string) => `${counts.get(status)?.length ?? 0} ${noun}`;
  const sum = [
    count("ok", "ok"),
    count("warning", "warnings"),
    count("problem", "problems"),
    count("unknown", "unknown"),
    count("skipped", "skipped"),
  ];
  return `${lines.join("\n")}\n\n${sum.join(", ")}\n`;
}

/** Documented in docs/doctor.md. */
export function findingsToJson(findings: readonly Finding[]): object {
  return { version: VERSION, status: worst(findings), findings };
}
