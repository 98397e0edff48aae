/** Logs: one JSON object a line on standard output, or text for people on a terminal. */
import { createRequire } from "node:module";
import { isatty } from "node:tty";
import { type DestinationStream, type Logger, destination, pino, stdTimeFunctions } from "pino";
import type * as PinoPretty from "pino-pretty";

export type { Logger } from "pino";

export interface LogOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  /** `auto`: pretty on a terminal, otherwise JSON. */
  readonly format: "auto" | "json" | "pretty";
}

const STDOUT = 1;

/**
 * A logger that writes to the file descriptor `fd`, known to be a `terminal` or not. A line is out when the call
 * returns, so that the last words of a dying process are not lost.
 */
export function createLogger({ level, format }: LogOptions, fd = STDOUT, terminal = isatty(fd)): Logger {
  const isPretty = format === "pretty" || (format === "auto" && terminal);
  return pino(
    {
      level,
      // The process and the host are known to whoever collects the lines.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isPretty ? prettyStream(fd, terminal) : destination({ dest: fd, sync: true }),
  );
}

/** Text for people. In this thread, because a worker would lose the last lines. */
function prettyStream(fd: number, terminal: boolean): DestinationStream {
  // Loaded only here: a service never needs it.
  const { prettyFactory }: typeof PinoPretty = createRequire(import.meta.url)("pino-pretty");
  const lines = destination({ dest: fd, sync: true });
  // Colours on a terminal are left to pino-pretty, which knows NO_COLOR.
  const colours = terminal ? {} : { colorize: false };
  const format = prettyFactory({ ...colours, singleLine: true, translateTime: "SYS:HH:MM:ss.l" });
  return { write: (line) => void lines.write(format(line)) };
}
