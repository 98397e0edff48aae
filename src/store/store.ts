/** What is remembered of a domain across restarts, and who keeps it. */
import type { PolicyMode } from "../policy/policy.ts";

/** A policy that was fetched once and holds until `expiresAt` (trust on first use). Times are milliseconds since 1970. */
export interface Pin {
  /** The record id under which it was fetched. */
  readonly recordId: string;
  /** The policy file as served. */
  readonly text: string;
  readonly mode: PolicyMode;
  readonly mx: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
  readonly fetchedAt: number;
  readonly expiresAt: number;
  /** When it is fetched again although the id is the same: a random moment, well before `expiresAt`. */
  readonly renewAt: number;
}

/** The last fetch that failed, and when the next may be tried. */
export interface FetchFailure {
  readonly recordId: string;
  /** A FetchFailureReason. */
  readonly reason: string;
  readonly detail: string;
  /** Failures in a row for this id. */
  readonly count: number;
  readonly failedAt: number;
  readonly retryAt: number;
}

/** One domain's row. */
export interface Entry {
  readonly domain: string;
  readonly pin: Pin | undefined;
  readonly failure: FetchFailure | undefined;
  /** When DNS last answered about the record. */
  readonly checkedAt: number;
  /** When the record is to be asked for again. */
  readonly checkAt: number;
  /** When Postfix last asked; kept to the minute or so. */
  readonly usedAt: number;
}

export type StoreErrorCode = "busy" | "full" | "read-only" | "corrupt" | "io" | "closed";

/** The store could not do it. Answers go on from memory; the caller reports it. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface PolicyStore {
  /** The row of `domain`, or undefined. Throws {@link StoreError}. */
  get(domain: string): Entry | undefined;
  /**
   * Writes the row; resolves when it is on disk. Calls of one moment share a transaction.
   * A pin fetched earlier than the one already stored leaves the stored one in place.
   * Rejects with {@link StoreError}.
   */
  put(entry: Entry): Promise<void>;
  /** Notes that `domain` was asked for at `usedAt`; written with some later transaction. Never throws. */
  touch(domain: string, usedAt: number): void;
  /** Writes what is still to be written, then closes. Idempotent. */
  close(): Promise<void>;
}
