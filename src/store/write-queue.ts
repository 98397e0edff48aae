/** Group commit: what is asked for while one transaction runs goes into the next, with one fsync for all. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { StoreError } from "./store.ts";
import type { Requests, Touch, Write } from "./writer-protocol.ts";

export type Commit = (request: Requests["write"]["in"]) => Promise<Requests["write"]["out"]>;

interface Pending {
  readonly write: Write;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds how long one transaction keeps others out. */
const MOST_AT_ONCE = 1000;
/** More can wait only while the disk hangs. */
const MOST_WAITING = 50_000;
const MOST_TOUCHES = 20_000;

/** Gathers writes and touches into transactions, one at a time, in the order in which they came. */
export class WriteQueue {
  readonly #commit: Commit;
  readonly #touchDelay: number;
  readonly #pending: Pending[] = [];
  #touches = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  /** `commit` rejects with {@link StoreError}; `touchDelay`: milliseconds that a touch may wait for a transaction. */
  constructor(commit: Commit, touchDelay: number) {
    this.#commit = commit;
    this.#touchDelay = touchDelay;
  }

  /** Writes that no transaction has taken yet. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** Resolves when `write` is on disk. */
  add(write: Write): Promise<void> {
    if (this.#pending.length >= MOST_WAITING) {
      return Promise.reject(new StoreError("busy", `${MOST_WAITING} writes already wait for the disk`));
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ write, resolve, reject });
      this.#wake();
    });
  }

  touch(domain: string, usedAt: number): void {
    if (this.#touches.size >= MOST_TOUCHES && !this.#touches.has(domain)) return;
    this.#touches.set(domain, usedAt);
    this.#timer ??= setTimeout(() => this.#wake(), this.#touchDelay).unref();
  }

  /** Resolves when all that was added before has been written, or has failed. */
  async drain(): Promise<void> {
    await this.#running;
    if (this.#touches.size > 0) this.#wake();
    await this.#running;
  }

  #wake(): void {
    this.#running ??= this.#run();
  }

  /** Never rejects. The last look at the queue and the note that nobody serves it are one step, so no write is left behind. */
  async #run(): Promise<void> {
    await nextTurn();
    do {
      const batch = this.#pending.splice(0, MOST_AT_ONCE);
      await this.#write(batch, this.#takeTouches());
    } while (this.#pending.length > 0);
    this.#running = undefined;
  }

  #takeTouches(): Touch[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const touches = [...this.#touches];
    this.#touches = new Map();
    return touches;
  }

  async #write(batch: readonly Pending[], touches: readonly Touch[]): Promise<void> {
    try {
      const { failures } = await this.#commit({ writes: batch.map(({ write }) => write), touches });
      for (const [index, { resolve, reject }] of batch.entries()) {
        const failure = failures.get(index);
        if (failure === undefined) resolve();
        else reject(new StoreError(failure.code, failure.message));
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
