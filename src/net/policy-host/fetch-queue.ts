/** How many fetches run at once, in all and for one address, and how many wait for it. */
import { FetchFailure } from "./fetch-failure.ts";

/** With a wait so long nobody would live to see his answer; those who came first shall. */
const MAX_WAITING = 4_096;

/** Those who wait for the same addresses, in the order they came. */
interface Line {
  readonly addresses: readonly string[];
  readonly waiting: Set<() => void>;
}

/**
 * Gives out slots. Lines take turns, and within a line the first is served first: ten thousand domains at one provider
 * do not hold up the one domain at another, and a full address holds up nobody else.
 */
export class FetchQueue {
  readonly #concurrency: number;
  readonly #perAddress: number;
  readonly #lines = new Map<string, Line>();
  readonly #inUse = new Map<string, number>();
  readonly #maxWaiting: number;
  #running = 0;
  #waiting = 0;

  /**
   * @param concurrency slots in all
   * @param perAddress slots for one address
   * @param maxWaiting who may wait
   */
  constructor(concurrency: number, perAddress: number, maxWaiting = MAX_WAITING) {
    this.#concurrency = concurrency;
    this.#perAddress = perAddress;
    this.#maxWaiting = maxWaiting;
  }

  /** How many have a slot. */
  get running(): number {
    return this.#running;
  }

  /** How many wait for one. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Waits until a slot is free in all and at each of `addresses`, any of which the holder may connect to.
   * Rejects with the signal's reason when it fires first, and with a {@link FetchFailure} `overloaded` when too many wait.
   *
   * @returns gives the slot back
   */
  async acquire(addresses: readonly string[], signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting >= this.#maxWaiting)
      throw new FetchFailure("overloaded", `${this.#waiting} fetches are waiting already`);
    const key = addresses.toSorted().join(" ");
    const line = this.#lines.get(key) ?? { addresses, waiting: new Set() };
    this.#lines.set(key, line);
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        line.waiting.delete(enter);
        this.#waiting -= 1;
        if (line.waiting.size === 0) this.#lines.delete(key);
        reject(signal.reason);
        // An abandoned line no longer claims its addresses.
        this.#admit();
      };
      const enter = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      line.waiting.add(enter);
      this.#waiting += 1;
      signal.addEventListener("abort", onAbort, { once: true });
      this.#admit();
    });
    return () => this.#release(addresses);
  }

  #release(addresses: readonly string[]): void {
    this.#running -= 1;
    for (const address of addresses) {
      const left = this.#used(address) - 1;
      if (left > 0) this.#inUse.set(address, left);
      else this.#inUse.delete(address);
    }
    this.#admit();
  }

  #admit(): void {
    // A line that cannot go yet claims its addresses, or lines behind it that need fewer would overtake it for ever.
    const claimed = new Set<string>();
    for (const [key, line] of this.#lines) {
      if (this.#running >= this.#concurrency) return;
      if (line.addresses.some((address) => claimed.has(address) || this.#used(address) >= this.#perAddress)) {
        for (const address of line.addresses) claimed.add(address);
        continue;
      }
      const [enter] = line.waiting;
      if (enter !== undefined && line.waiting.delete(enter)) this.#waiting -= 1;
      // To the end of the Map, where this very loop comes by again.
      if (this.#lines.delete(key) && line.waiting.size > 0) this.#lines.set(key, line);
      this.#running += 1;
      for (const address of line.addresses) this.#inUse.set(address, this.#used(address) + 1);
      enter?.();
    }
  }

  #used(address: string): number {
    return this.#inUse.get(address) ?? 0;
  }
}
