/** Bounds how many queries run at once, and how many wait for their turn. */
import { aborted } from "./transport.ts";
import { DnsError } from "./resolver.ts";

export class Slots {
  #free: number;
  readonly #maxWaiting: number;
  /** In order of arrival; a Set, so that one that is given up leaves at once. */
  readonly #waiting = new Set<() => void>();

  constructor(size: number, maxWaiting: number) {
    this.#free = size;
    this.#maxWaiting = maxWaiting;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Waits for a turn. The caller calls {@link release} once when done.
   * Throws {@link DnsError} `aborted`, or `network` when too many wait already: with dead servers they would only pile up.
   */
  async take(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw aborted(signal);
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      throw new DnsError("network", `${this.#waiting.size} DNS queries are waiting already`);
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(enter);
        if (signal !== undefined) reject(aborted(signal));
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.add(enter);
    });
  }

  /** Hands the turn to the one that has waited longest. */
  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
    } else {
      this.#waiting.delete(next);
      next();
    }
  }
}
