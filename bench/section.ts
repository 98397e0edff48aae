/** What a scenario hands over: a table, and what it says of the targets. */
import { median } from "./statistics.ts";

export type Cell = string | number;

/** A target, and where we stand. */
export interface Check {
  readonly what: string;
  /** The median of all rounds, and the extremes. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly bound: "at least" | "at most";
  readonly limit: number;
  readonly unit: string;
  readonly met: boolean;
}

export interface Section {
  readonly title: string;
  /** What the reader must know to read it. */
  readonly notes: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly checks: readonly Check[];
  /** Replies of ours that were wrong or missing. Not one is allowed. */
  readonly faults: number;
}

/** Judges the median of `values`, one of each round. */
export function check(
  what: string,
  values: readonly number[],
  bound: Check["bound"],
  limit: number,
  unit = "×",
): Check {
  const value = median(values);
  const met = bound === "at least" ? value >= limit : value <= limit;
  return { what, value, low: Math.min(...values), high: Math.max(...values), bound, limit, unit, met };
}
