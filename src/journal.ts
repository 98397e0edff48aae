/** Lines for journald(8), which reads how urgent one is from `<N>` at its beginning: sd-daemon(3), SyslogLevelPrefix=. */
import { fstatSync } from "node:fs";
import { type DestinationStream, levels } from "pino";

/** A stream that has it is told of the level of each line by pino. */
const SETS_LAST_LEVEL = Symbol.for("pino.metadata");

/** Priorities of syslog by pino's levels. */
const PRIORITIES: Readonly<Record<string, number>> = {
  trace: 7,
  debug: 7,
  info: 6,
  warn: 4,
  error: 3,
  fatal: 2,
};

/** Whether the descriptor `fd` leads to the journal, whose socket systemd names in `JOURNAL_STREAM`: systemd.exec(5). */
export function isJournal(fd: number, journalStream: string | undefined): boolean {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return journalStream === `${dev}:${ino}`;
}

/** Writes each line to `output` with its priority before it. */
export class JournalStream implements DestinationStream {
  readonly [SETS_LAST_LEVEL] = true;
  lastLevel = levels.values["info"] ?? 0;
  readonly #output: DestinationStream;

  constructor(output: DestinationStream) {
    this.#output = output;
  }

  write(line: string): void {
    this.#output.write(`<${PRIORITIES[levels.labels[this.lastLevel] ?? "info"] ?? 6}>${line}`);
  }
}
