/** The time one fetch may take, all its steps together and the first of them. */

/** Fires its signal when the time is over or the caller's signal fires. Must be stopped at the end of the fetch. */
export class Deadline {
  /** What the fetch is waiting for, to be named when time runs out. */
  step = "starting";
  /** The limit that has passed, in words. */
  passed = "";
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #outer: AbortSignal | undefined;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #connectTimer: NodeJS.Timeout | undefined;
  /** In words, while the connection does not stand. */
  #connectLimit: string | undefined;
  #runningSince: number | undefined;
  #spentMs = 0;

  /**
   * @param timeoutMs milliseconds
   * @param now milliseconds on a clock that never steps back
   * @param outer the caller's signal
   */
  constructor(timeoutMs: number, now: () => number, outer?: AbortSignal) {
    this.#timeoutMs = timeoutMs;
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
    const left = Math.max(0, this.#timeoutMs - this.#spentMs);
    this.#timer = setTimeout(() => this.#pass(`no policy within ${this.#timeoutMs / 1000} s`), left);
  }

  /** Connection and TLS must stand within `timeoutMs` milliseconds from now, when {@link connected} is called. */
  connecting(timeoutMs: number): void {
    const limit = `no connection within ${timeoutMs / 1000} s`;
    this.#connectLimit = limit;
    this.#connectTimer = setTimeout(() => this.#pass(limit), timeoutMs);
  }

  connected(): void {
    clearTimeout(this.#connectTimer);
    this.#connectLimit = undefined;
  }

  /** Others wait for what this fetch has had for `fairMs` milliseconds, which is as long as connecting may take. */
  giveWay(fairMs: number): void {
    this.#pass(this.#connectLimit ?? `no policy within ${fairMs / 1000} s, and other fetches wait`);
  }

  stop(): void {
    this.pause();
    this.connected();
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  #pass(limit: string): void {
    this.passed = limit;
    this.#abort();
  }

  readonly #abort = (): void => this.#controller.abort();
}
