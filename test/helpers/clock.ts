/** A clock that moves only when a test moves it. */
export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export class Clock {
  #time: number;

  constructor(start = Date.UTC(2026, 10, 21, 22, 4, 5)) {
    this.#time = start;
  }

  /** Milliseconds since 1970; may be passed around as a function. */
  readonly now = (): number => this.#time;

  /** Moves by `milliseconds`, back where that is negative. */
  advance(milliseconds: number): void {
    this.#time += milliseconds;
  }

  set(time: number): void {
    this.#time = time;
  }
}
