/** The MTA-STS policy file (RFC 8461 §3.2). */

export type PolicyMode = "enforce" | "testing" | "none";

/** A policy as its owner published it. */
export interface Policy {
  readonly mode: PolicyMode;
  /** Seconds from the fetch for which the policy holds, at most {@link MAX_MAX_AGE}. */
  readonly maxAge: number;
  /** MX patterns in the file's order, lower case: `mx.example.com` or `*.example.com`. */
  readonly mx: readonly string[];
}

/** The longest lifetime RFC 8461 §3.2 allows, in seconds (about a year). */
export const MAX_MAX_AGE = 31_557_600;
