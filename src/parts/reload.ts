/** What a new configuration changes while the daemon runs, and what it does not. */
import { isDeepStrictEqual } from "node:util";

import type { Config } from "../config.ts";

/** What differs in `next` from the configuration we started with, and what only a restart can change. */
export function needRestart(started: Config, next: Config): string[] {
  const fixed = [
    "listen",
    "store",
    "lookup",
    "dns",
    "dane",
    "fetch",
    "freshness",
    "admin",
    "tlsrpt",
    "metrics",
  ] as const;
  const sections = fixed.filter((section) => !isDeepStrictEqual(started[section], next[section]));
  return started.log.format === next.log.format ? sections : [...sections, "log.format"];
}
