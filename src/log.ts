/** Logs: one JSON object a line on standard output, or text for people on a terminal. */
import { isatty } from "node:tty";
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";
import type { LogDomains } from "./log-domains.ts";
import { isJournal, JournalStream } from "./journal.ts";
import { LogOutput } from "./log-output.ts";

export type { Logger } from "pino";

export interface LogOptions {
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  /** `auto`: pretty on a terminal, otherwise JSON. */
  readonly format: "auto" | "json" | "pretty";
  /** Counts the lines that are lost. */
  readonly lost?: { count: number };
  /** `JOURNAL_STREAM` of the environment: lines for the journal have their priority before them. */
  readonly journalStream?: string | undefined;
  /** What becomes of recipient domains. Without it they are written as they are. */
  readonly logDomains?: LogDomains;
}

const STDOUT = 1;

/**
 * A logger that writes to the file descriptor `fd`, known to be a `terminal` or not. That it cannot be written is nobody's
 * trouble: lines are lost, and their number is logged when it can be written again.
 */
export async function createLogger(
  { level, format, lost, journalStream, logDomains }: LogOptions,
  fd = STDOUT,
  terminal = isatty(fd),
): Promise<Logger> {
  const isPretty = format === "pretty" || (format === "auto" && terminal);
  const output = new LogOutput(
    fd,
    (lines) => {
      logger.error({ lines }, "log lines were lost: the log could not be written");
    },
    lost,
  );
  const lines = isJournal(fd, journalStream) ? new JournalStream(output) : output;
  const logger = pino(
    {
      level,
      // The process and the host are known to whoever collects the lines.
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        ...(logDomains && { log: (fields) => logDomains.censor(fields) }),
      },
    },
    isPretty ? await prettyStream(output, terminal) : lines,
  );
  return logger;
}

/** Text for people. In this thread, because a worker would lose the last lines. */
async function prettyStream(output: LogOutput, terminal: boolean): Promise<DestinationStream> {
  // Loaded only here: a service never needs it.
  const { prettyFactory } = await import("pino-pretty");
  // Colours on a terminal are left to pino-pretty, which knows NO_COLOR.
  const colours = terminal ? {} : { colorize: false };
  const format = prettyFactory({ ...colours, singleLine: true, translateTime: "SYS:HH:MM:ss.l" });
  return { write: (line) => output.write(format(line)) };
}
