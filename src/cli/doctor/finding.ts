/** What one check of `stsmapd doctor` came to. */

/**
 * - `warning`: works, but not as well or as safely as it could.
 * - `problem`: mail is held up, or goes out without the protection that was meant.
 * - `skipped`: there is nothing to look at here. `unknown`: there is, but it could not be looked at.
 */
export type Status = "ok" | "warning" | "problem" | "skipped" | "unknown";

export interface Finding {
  /** A stable name. */
  readonly check: CheckName;
  readonly status: Status;
  /** One line. */
  readonly found: string;
  /** Commands for a shell that mend it, in order; a line that begins with `#` is for the reader. Empty for ok and skipped. */
  readonly mend: readonly string[];
}

/** In the order of the report. */
export const CHECK_NAMES = [
  "configuration",
  "unit",
  "daemon",
  "readiness",
  "postfix",
  "policy-table",
  "map",
  "socket",
  "postmap",
  "security-level",
  "tls-versions",
  "trusted-roots",
  "mx-patterns",
  "connection-reuse",
  "overrides",
  "route",
  "clients",
  "resolver",
  "postfix-resolver",
  "policy-host",
  "clock",
  "cache",
  "disk",
] as const;

export type CheckName = (typeof CHECK_NAMES)[number];

export function ok(check: CheckName, found: string): Finding {
  return { check, status: "ok", found, mend: [] };
}

export function skipped(check: CheckName, found: string): Finding {
  return { check, status: "skipped", found, mend: [] };
}

export function unknown(check: CheckName, found: string, ...mend: readonly string[]): Finding {
  return { check, status: "unknown", found, mend };
}

export function warning(check: CheckName, found: string, mend: readonly string[]): Finding {
  return { check, status: "warning", found, mend };
}

export function problem(check: CheckName, found: string, mend: readonly string[]): Finding {
  return { check, status: "problem", found, mend };
}

/** The status of the whole: what could not be looked at is not known to be good, so it counts as a warning. */
export function worst(findings: readonly Finding[]): "ok" | "warning" | "problem" {
  const has = (...statuses: readonly Status[]) => findings.some(({ status }) => statuses.includes(status));
  if (has("problem")) return "problem";
  return has("warning", "unknown") ? "warning" : "ok";
}
