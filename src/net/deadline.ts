/** The time one fetch may take, all its steps together. */

/** Fires its signal when the time is over or the caller's signal fires. Must be stopped at the end of the fetch. */
export class Deadline {
  /** What the fetch is waiting for, to be named when time runs out. */
  step = "starting";
  readonly timeoutMs: number;
  readonly #now: () => number;
  readonly #outer: AbortSignal | undefined;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #runningSince: number | undefined;
  #spentMs = 0;

  /**
   * @param timeoutMs milliseconds
   * @param now milliseconds on a clock that never steps back
   * @param outer the caller's signal
   */
  constructor(timeoutMs: number, now: () => number, outer?: AbortSignal) {
    this.timeoutMs = timeoutMs;
    this.#now = now;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#abort, { once: true });
    if (outer?.aborted === true) this.#abort();
    this.resume();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the caller who gave up, not the clock. */
  get abortedByCaller(): boolean {
    return this.#outer?.aborted === true;
  }

  /** Milliseconds run so far, without pauses. */
  get spentMs(): number {
    return this.#spentMs + (this.#runningSince === undefined ? 0 : this.#now() - this.#runningSince);
  }

  pause(): void {
    clearTimeout(this.#timer);
    this.#spentMs = this.spentMs;
    this.#runningSince = undefined;
  }

  resume(): void {
    this.#runningSince = this.#now();
    this.#timer = setTimeout(this.#abort, Math.max(0, this.timeoutMs - this.#spentMs));
  }

  stop(): void {
    this.pause();
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#controller.abort();
}
