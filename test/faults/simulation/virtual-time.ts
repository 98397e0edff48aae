/** Time that passes as fast as it can be worked off. While one is in force, all timers of this process run on it. */
import { createRequire, syncBuiltinESMExports } from "node:module";
import { setImmediate as nextTurn } from "node:timers/promises";

interface Timer {
  readonly at: number;
  readonly run: () => void;
  /** Whether it belongs to the process under test, and dies with it. */
  readonly isOfProcess: boolean;
  isCancelled: boolean;
}

const promises: { setTimeout: unknown } = createRequire(import.meta.url)("node:timers/promises");

function cancel(timer: { isCancelled: boolean } | undefined): void {
  if (timer !== undefined) timer.isCancelled = true;
}

export class VirtualTime implements Disposable {
  /** In the order in which they fire. */
  readonly #timers: Timer[] = [];
  /** Milliseconds that only ever pass. */
  #steady = 0;
  /** What the system's clock says beyond that. */
  #offset: number;
  readonly #real = { setTimeout, clearTimeout, sleep: promises.setTimeout };

  /** @param start milliseconds since 1970 */
  constructor(start: number) {
    this.#offset = start;
    const set = (run: () => void, delay = 0): object => this.#add(run, delay, true);
    Object.assign(globalThis, { setTimeout: set, clearTimeout: cancel });
    promises.setTimeout = (delay: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise((resolve, reject) => {
        const aborted = (): void => reject(new DOMException("aborted", "AbortError"));
        if (signal?.aborted === true) aborted();
        signal?.addEventListener("abort", aborted, { once: true });
        this.#add(
          () => {
            signal?.removeEventListener("abort", aborted);
            resolve(value);
          },
          delay,
          true,
        );
      });
    syncBuiltinESMExports();
  }

  /** What the system's clock says, in whole milliseconds; may be passed around as a function. */
  readonly now = (): number => Math.floor(this.#steady + this.#offset);

  /** Milliseconds since the start, whatever became of the clock. */
  get passed(): number {
    return this.#steady;
  }

  /** Steps the system's clock. Timers do not mind. */
  step(milliseconds: number): void {
    this.#offset += milliseconds;
  }

  /** Something that happens outside of the process under test. */
  schedule(delay: number, run: () => void): void {
    this.#add(run, delay, false);
  }

  /** The process is no more: nothing it waited for comes. */
  endProcess(): void {
    for (const timer of this.#timers) timer.isCancelled ||= timer.isOfProcess;
  }

  /** Fires the next timer, and lets all that follows of it at once take its course. False when none is left. */
  async fireNext(): Promise<boolean> {
    const timer = this.#timers.shift();
    if (timer === undefined) return false;
    if (timer.isCancelled) return true;
    this.#steady = timer.at;
    timer.run();
    await nextTurn();
    return true;
  }

  [Symbol.dispose](): void {
    const { sleep, ...timers } = this.#real;
    Object.assign(globalThis, timers);
    promises.setTimeout = sleep;
    syncBuiltinESMExports();
  }

  #add(run: () => void, delay: number, isOfProcess: boolean): object {
    const timer = { at: this.#steady + Math.max(delay, 0), run, isOfProcess, isCancelled: false };
    let low = 0;
    for (let high = this.#timers.length; low < high;) {
      const middle = (low + high) >> 1;
      if ((this.#timers[middle]?.at ?? 0) <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return Object.assign(timer, { unref: () => timer, ref: () => timer });
  }
}
