/** A logger that keeps its lines. */
import { pino } from "pino";
import type { Logger } from "../../src/log.ts";

/** Everything down to debug; `lines` have the level by name and no time. */
export function startLog(): { readonly log: Logger; readonly lines: readonly unknown[] } {
  const lines: unknown[] = [];
  const options = {
    level: "debug",
    base: null,
    timestamp: false,
    formatters: { level: (level: string) => ({ level }) },
  };
  const log = pino(options, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}
