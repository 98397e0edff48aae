/** How many fetches run at once, in all and for one address, how many wait for it, and who must go when others wait. */
import { FetchFailure } from "./fetch-failure.ts";

/** With a wait so long nobody would live to see his answer; those who came first shall. */
const MAX_WAITING = 4_096;

/** Those who wait for the same addresses, in the order they came. */
interface Line {
  readonly addresses: readonly string[];
  readonly waiting: Set<() => void>;
}

/** Who has a slot. */
interface Holder {
  readonly addresses: readonly string[];
  readonly giveWay: () => void;
  /** Had it for as long as is fair while others wait. */
  isOverdue: boolean;
  timer: NodeJS.Timeout | undefined;
}

export interface FetchQueueLimits {
  /** Slots in all. */
  readonly concurrency: number;
  /** Slots for one address. */
  readonly perAddress: number;
  /** Milliseconds after which a holder must give way to those who wait for his slot; while nobody does, he may keep it. */
  readonly fairMs: number;
  /** Who may wait. */
  readonly maxWaiting?: number;
}

/**
 * Gives out slots. Lines take turns, and within a line the first is served first: ten thousand domains at one provider
 * do not hold up the one domain at another, and a full address holds up nobody else. Nor do hosts that answer an octet a
 * second: while others wait, the oldest holder that stands in their way has to go once his fair time is over.
 */
export class FetchQueue {
  readonly #concurrency: number;
  readonly #perAddress: number;
  readonly #fairMs: number;
  readonly #lines = new Map<string, Line>();
  readonly #inUse = new Map<string, number>();
  readonly #maxWaiting: number;
  /** In the order they came in. */
  readonly #holders = new Set<Holder>();
  #waiting = 0;

  constructor({ concurrency, perAddress, fairMs, maxWaiting = MAX_WAITING }: FetchQueueLimits) {
    this.#concurrency = concurrency;
    this.#perAddress = perAddress;
    this.#fairMs = fairMs;
    this.#maxWaiting = maxWaiting;
  }

  /** How many have a slot. */
  get running(): number {
    return this.#holders.size;
  }

  /** How many wait for one. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Waits until a slot is free in all and at each of `addresses`, any of which the holder may connect to.
   * Rejects with the signal's reason when it fires first, and with a {@link FetchFailure} `overloaded` when too many wait.
   *
   * @param giveWay called, perhaps again and again, while the holder's fair time is over and others wait: he is to give the
   *   slot back at once
   * @returns gives the slot back
   */
  async acquire(addresses: readonly string[], signal: AbortSignal, giveWay: () => void): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting >= this.#maxWaiting)
      throw new FetchFailure("overloaded", `${this.#waiting} fetches are waiting already`);
    const key = addresses.toSorted().join(" ");
    const line = this.#lines.get(key) ?? { addresses, waiting: new Set() };
    this.#lines.set(key, line);
    return new Promise((resolve, reject) => {
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
        resolve(this.#hold(addresses, giveWay));
      };
      line.waiting.add(enter);
      this.#waiting += 1;
      signal.addEventListener("abort", onAbort, { once: true });
      this.#admit();
      this.#makeRoom();
    });
  }

  /** Takes a slot; returns what gives it back. */
  #hold(addresses: readonly string[], giveWay: () => void): () => void {
    const holder: Holder = { addresses, giveWay, isOverdue: false, timer: undefined };
    holder.timer = setTimeout(() => {
      holder.isOverdue = true;
      this.#makeRoom();
    }, this.#fairMs);
    this.#holders.add(holder);
    for (const address of addresses) this.#inUse.set(address, this.#used(address) + 1);
    return () => this.#release(holder);
  }

  /** As many holders as there are who wait are told to go, the oldest first. */
  #makeRoom(): void {
    const overdue = [...this.#holders].filter(({ isOverdue }) => isOverdue);
    if (overdue.length === 0) return;
    const isFull = this.#holders.size >= this.#concurrency;
    const wanted = new Set([...this.#lines.values()].flatMap(({ addresses }) => addresses));
    let left = this.#waiting;
    for (const { addresses, giveWay } of overdue) {
      if (left === 0) return;
      if (!isFull && !addresses.some((address) => wanted.has(address))) continue;
      left -= 1;
      giveWay();
    }
  }

  #release(holder: Holder): void {
    if (!this.#holders.delete(holder)) return;
    clearTimeout(holder.timer);
    const { addresses } = holder;
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
      if (this.#holders.size >= this.#concurrency) return;
      if (line.addresses.some((address) => claimed.has(address) || this.#used(address) >= this.#perAddress)) {
        for (const address of line.addresses) claimed.add(address);
        continue;
      }
      const [enter] = line.waiting;
      if (enter !== undefined && line.waiting.delete(enter)) this.#waiting -= 1;
      // To the end of the Map, where this very loop comes by again.
      if (this.#lines.delete(key) && line.waiting.size > 0) this.#lines.set(key, line);
      enter?.();
    }
  }

  #used(address: string): number {
    return this.#inUse.get(address) ?? 0;
  }
}
