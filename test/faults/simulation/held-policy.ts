/** A policy that was fetched, and the times between which it has to hold, may hold, and may be fetched again. */
import type { Pin } from "../../../src/store/store.ts";
import { MINUTE } from "../../helpers/clock.ts";
import type { PublishedPolicy } from "./internet.ts";

/** A policy holds for a minute at least, whatever its max_age. */
const SHORTEST_LIFE = MINUTE;
/** Renewal begins at half of a policy's life. */
const RENEWAL = 0.5;
/** What was written at most this far ahead of a clock that was set back stays as it is. */
const TOLERANCE = MINUTE;

export class HeldPolicy {
  readonly id: string;
  /** What Postfix is told of it; undefined where it is not enforced. */
  readonly text: string | undefined;
  /** Up to this moment, of the time that only passes, whoever asks waits for it to be on disk. */
  readonly awaitedUntil: number;
  isOnDisk = false;
  /** Its writing failed: it may be told from memory, and a crash may lose it. */
  isExcused = false;
  wasTold = false;
  readonly #mx: string;
  #fetchedAt: number;
  #expiresAt: number;
  /** How much sooner and later than expected its times may come, because the clock was stepped. */
  #early = 0;
  #late = 0;
  #stepped = 0;

  constructor(id: string, { mode, mx, maxAge }: PublishedPolicy, fetchedAt: number, awaitedUntil: number) {
    this.id = id;
    this.#mx = mx.join(":");
    this.text = mode === "enforce" ? `secure match=${this.#mx} servername=hostname` : undefined;
    this.#fetchedAt = fetchedAt;
    this.#expiresAt = fetchedAt + Math.max(maxAge * 1_000, SHORTEST_LIFE);
    this.awaitedUntil = awaitedUntil;
  }

  get renewableFrom(): number {
    return this.#fetchedAt + (this.#expiresAt - this.#fetchedAt) * RENEWAL - this.#stepped - 1;
  }

  mustHold(at: number): boolean {
    return at < this.#expiresAt - this.#early;
  }

  mayHold(at: number): boolean {
    return at < this.#expiresAt + this.#late;
  }

  /** Milliseconds that it holds on at least. */
  leastLeft(at: number): number {
    return this.#expiresAt - this.#early - at;
  }

  isOf(pin: Pin | undefined): boolean {
    const isSame = pin?.recordId === this.id && pin.mx.join(":") === this.#mx;
    return isSame && Math.abs(pin.fetchedAt - this.#fetchedAt) <= this.#late;
  }

  /** docs/durability.md: what was fetched while the clock was ahead counts as fetched now. */
  step(milliseconds: number, now: number): void {
    this.#stepped += Math.abs(milliseconds);
    if (milliseconds > 0) return;
    const ahead = Math.max(this.#fetchedAt - now, 0);
    this.#fetchedAt -= ahead;
    this.#expiresAt -= ahead;
    this.#early += TOLERANCE;
    this.#late += Math.abs(milliseconds) + TOLERANCE;
  }
}
