/** What `postfix-tlspol -export` prints: a line a domain, `example.com   secure match=mx.example.com servername=hostname`. */
import { foreignRow } from "./foreign-pin.ts";
import type { ForeignRow } from "./foreign-pin.ts";

/** Seconds. The export tells neither max_age nor when it was fetched; a day is short enough not to outlive what the owner meant. */
const ASSUMED_MAX_AGE = 86_400;

/**
 * Undefined for a blank line.
 *
 * @param now milliseconds since 1970; stands for the time of the fetch, which is not told either
 */
export function readTlspolLine(line: string, now: number): ForeignRow | undefined {
  if (line.trim() === "") return undefined;
  const [domain = "", level, ...attributes] = line.trim().split(/[ \t]+/);
  if (level === "dane" || level === "dane-only")
    return { result: "skipped", domain, reason: "answered by DANE, which is looked for anew" };
  const match = attributes.find((attribute) => attribute.startsWith("match="))?.slice("match=".length);
  if (level !== "secure" || match === undefined)
    return { result: "refused", domain, reason: "no line of an export" };
  // What Postfix knows as `.example.com` is `*.example.com` in the policy (RFC 8461 §4.1).
  const mx = match.split(":").map((entry) => (entry.startsWith(".") ? `*${entry}` : entry));
  const policy = { domain, id: undefined, mode: "enforce", mx, maxAge: ASSUMED_MAX_AGE };
  return foreignRow({ ...policy, fetchedAt: now, usedAt: now }, now);
}
