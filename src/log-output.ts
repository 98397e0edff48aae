/** Where the log ends: a descriptor that may be full, broken or stuck. None of that may reach the daemon. */
import { fstatSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import process from "node:process";

/** Bytes that wait for a reader who does not read, some thousand lines. What comes then is lost, and counted. */
const MAX_WAITING = 1024 * 1024;

/** Milliseconds until what waits is tried again. */
const RETRY_INTERVAL = 50;

/** Tries when the process ends, one second of them: a reader that hangs must not keep it. */
const LAST_TRIES = 20;

/**
 * Writes lines to the descriptor `fd`. A line is out when {@link write} returns, so that the last words of a dying process
 * are not lost, unless a pipe is full: then it waits in memory. Never throws, and never waits for a pipe or socket.
 */
export class LogOutput {
  readonly #fd: number;
  readonly #onLost: (lines: number) => void;
  readonly #waiting: Buffer[] = [];
  #size = 0;
  #lost = 0;
  readonly #lostInAll: { count: number };
  /** The last octet written is not the end of a line. */
  #isCut = false;
  #isHeldAtExit = false;

  /**
   * @param onLost told how many lines were lost, once lines can be written again
   * @param lostInAll counts them at once
   */
  constructor(fd: number, onLost: (lines: number) => void, lostInAll = { count: 0 }) {
    this.#lostInAll = lostInAll;
    this.#fd = fd;
    this.#onLost = onLost;
    makeNonBlocking(fd);
  }

  write(line: string): void {
    const isFirst = this.#waiting.length === 0;
    // After a failure in the middle of a line the next one begins on a line of its own.
    const octets = Buffer.from(isFirst && this.#isCut ? `\n${line}` : line);
    if (this.#size + octets.length > MAX_WAITING) {
      this.#lose(1);
      return;
    }
    this.#waiting.push(octets);
    this.#size += octets.length;
    if (isFirst) this.#advance();
  }

  #advance(): void {
    try {
      for (let first; (first = this.#waiting[0]) !== undefined;) {
        const written = writeSync(this.#fd, first);
        this.#size -= written;
        this.#isCut = written < first.length;
        if (this.#isCut) this.#waiting[0] = first.subarray(written);
        else this.#waiting.shift();
      }
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") return this.#wait();
      // A full disk, or nobody there: later lines may find it mended.
      this.#lose(this.#waiting.length);
      this.#waiting.length = 0;
      this.#size = 0;
      return;
    }
    if (this.#lost > 0) this.#reportLost();
  }

  #lose(lines: number): void {
    this.#lost += lines;
    this.#lostInAll.count += lines;
  }

  #wait(): void {
    setTimeout(() => this.#advance(), RETRY_INTERVAL).unref();
    if (this.#isHeldAtExit) return;
    this.#isHeldAtExit = true;
    process.once("exit", () => this.#finish());
  }

  #finish(): void {
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; this.#waiting.length > 0 && tries < LAST_TRIES; tries++) {
      Atomics.wait(nobody, 0, 0, RETRY_INTERVAL);
      this.#advance();
    }
  }

  #reportLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    this.#onLost(lost);
    // The report itself was lost.
    if (this.#lost > 0) this.#lost = lost;
  }
}

/** Node has no fcntl(2), but whoever opens a pipe or socket as a stream has it set to O_NONBLOCK. */
function makeNonBlocking(fd: number): void {
  const kind = fstatSync(fd);
  if (kind.isFIFO() || kind.isSocket()) new Socket({ fd, readable: false, writable: true }).unref();
}
