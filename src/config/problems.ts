/** What the schema refuses, in words. */
import type * as z from "zod/mini";
import { kindOf } from "./bad-value.ts";
import { UNKNOWN_KEY } from "./section.ts";
import type { Path } from "./tree.ts";

export type Issue = z.core.$ZodIssue;

export function isUnknownKey(issue: Issue): boolean {
  return issue.message === UNKNOWN_KEY;
}

/** `place: key.path: message`; without a path, `place: message`. */
export function problemLine(place: string, path: Path, message: string): string {
  const key = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("");
  return [place, ...(key ? [key.replace(/^\./, "")] : []), message].join(": ");
}

/** What is wrong and, in brackets, what is allowed. */
export function describe(issue: Issue): string {
  if (issue.code === "invalid_type" || issue.code === "invalid_key") {
    const expected = issue.code === "invalid_type" && issue.expected === "array" ? "a list" : "a map";
    return `${kindOf(issue.input)} where ${expected} is expected`;
  }
  if (issue.code === "custom" && isUnknownKey(issue)) {
    const allowed: string[] = issue.params?.["allowed"] ?? [];
    return unknownName(UNKNOWN_KEY, String(issue.path.at(-1)), allowed);
  }
  return issue.message;
}

/** `what`, with the allowed name that `name` was probably meant to be, or all of them. */
export function unknownName(what: string, name: string, allowed: readonly string[]): string {
  const [nearest] = allowed
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, candidate.length / 4))
    .toSorted((a, b) => a.distance - b.distance);
  return nearest ? `${what} (did you mean ${nearest.candidate}?)` : `${what} (${allowed.join(", ")})`;
}

/** How many letters must be put in, taken out or changed to make `b` of `a` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(change, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
