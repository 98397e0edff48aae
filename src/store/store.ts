/** What is remembered of a domain across restarts, and who keeps it. */
import type { PolicyMode } from "../policy/policy.ts";
import type { KnownDaneKind } from "../policy/verdict.ts";

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
  /** When Postfix last asked; kept to the hour or so. */
  readonly usedAt: number;
}

/** One step in a domain's past: an id was first seen to give a policy of this mode, or to fail for this reason. */
export interface HistoryStep {
  readonly recordId: string;
  readonly firstSeen: number;
  /** A PolicyMode or a FetchFailureReason. */
  readonly outcome: string;
}

/** How many steps {@link PolicyStore.history} keeps of one domain. */
export const HISTORY_LENGTH = 20;

/** Which rows {@link PolicyStore.list} gives: those that meet all that is set. */
export interface ListFilter {
  readonly mode?: PolicyMode;
  /** The pin ends before this moment. */
  readonly expiresBefore?: number;
  /** The pin was fetched before this moment. */
  readonly fetchedBefore?: number;
  /** True: the last fetch failed. False: it did not. */
  readonly failed?: boolean;
}

export interface ListPage {
  readonly entries: readonly Entry[];
  /** The `after` of the next page; undefined when this is the last. */
  readonly next: string | undefined;
}

export interface StoreCounts {
  /** Rows by the mode of their pin; `unpinned` have none. */
  readonly entries: Readonly<Record<PolicyMode | "unpinned", number>>;
  /** Pins that end within 7 days. */
  readonly expiringSoon: number;
  /** Of these, enforced or tested ones that were used within the last 7 days, and whose last fetch failed. */
  readonly lapsing: number;
  /** The earliest `checkedAt` of a pinned row. */
  readonly oldestCheck: number | undefined;
}

export interface DuePin {
  readonly domain: string;
  readonly dueAt: number;
  readonly expiresAt: number;
}

/** What is due for renewal. */
export interface Backlog {
  readonly rows: number;
  /** Those of them whose pins end first, in that order. */
  readonly firstToLapse: readonly DuePin[];
}

export interface StoreHealth {
  /** Whether the last write succeeded. True before the first. */
  readonly writable: boolean;
  /** Whether the last read succeeded. True before the first. */
  readonly readable: boolean;
  /** The failure of the last write; where that succeeded, of the last read. */
  readonly lastError?: StoreError;
}

/**
 * - `busy`: another process holds the file, or too much waits to be written; try again later.
 * - `full`: no room; writing resumes by itself when there is.
 * - `read-only`, `permission`, `cannot-create`: this user cannot write the file, reach it, or make it; the administrator must act (exit 73).
 * - `incompatible`: the file is of a newer version or of another program; it was not touched (exit 78).
 * - `corrupt`: the file is damaged. The store sets it aside itself.
 * - `io`: the disk failed.
 * - `invalid`: the entry breaks a rule of the table; a mistake of the caller.
 * - `closed`: the store was closed.
 */
export type StoreErrorCode =
  | "busy"
  | "full"
  | "read-only"
  | "permission"
  | "cannot-create"
  | "incompatible"
  | "corrupt"
  | "io"
  | "invalid"
  | "closed";

/** The store could not do it. Answers go on from memory; the caller reports it. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** All that reads throws {@link StoreError}; all that writes rejects with it, and with nothing else. */
export interface PolicyStore {
  /** The row of `domain`, or undefined. */
  get(domain: string): Entry | undefined;

  /**
   * Writes the row; resolves when it is on disk. Calls of one moment share a transaction.
   * A pin fetched earlier than the one stored, or none, leaves the stored one in place; the failure and the times of
   * the check are those of the newer `checkedAt`; `usedAt` never goes back.
   *
   * @param dane the DANE state of the domain, where it is known already; noted in the same transaction if the domain has none
   */
  put(entry: Entry, dane?: KnownDaneKind): Promise<void>;

  /** Notes that `domain` was asked for at `usedAt`; written with some later transaction, or lost in a crash. Never throws. */
  touch(domain: string, usedAt: number): void;

  /** The DANE state last known of a domain that has a row; it stands in while DNS cannot be asked, through restarts too. */
  lastDane(domain: string): KnownDaneKind | undefined;

  /** Remembers it for {@link lastDane}, in place of what was known before, if the domain has a row; resolves when it is on disk. */
  noteDane(domain: string, kind: KnownDaneKind): Promise<void>;

  /** Forgets the row and its history; resolves when that is on disk. What was put before is forgotten, what is put later stays. */
  delete(domain: string): Promise<void>;

  /**
   * Deletes rows that say nothing any more at `now`: expired pins and spent failures not used since `unusedSince`, and
   * spent rows with neither. Resolves with their number.
   */
  deleteExpired(now: number, unusedSince: number): Promise<number>;

  /**
   * Moves rows that tell of moments after `now` back to it, as {@link rebased} of rebase.ts does: they were written while the
   * clock was ahead. Resolves with their number.
   */
  rebase(now: number): Promise<number>;

  /**
   * At most `limit` rows used since `usedSince`, with a pin that holds at `now`, of which {@link dueAt} has come; the
   * longest due first. An expired pin is no longer renewed: who asks for the domain next has it resolved anew.
   */
  due(now: number, usedSince: number, limit: number): Entry[];

  /** The earliest {@link dueAt} among such rows; undefined when nothing will ever be due. */
  nextDue(now: number, usedSince: number): number | undefined;

  /**
   * What {@link due} could give of the rows that fell due after `dueAfter`, however many: how many rows that are, and the
   * `limit` of them that lapse first. Off the main thread, for it costs the more the more there are.
   */
  backlog(now: number, usedSince: number, limit: number, dueAfter: number): Promise<Backlog>;

  /**
   * The rows that `filter` lets through among the `limit` that follow `after` in the order of domain names ("" for the
   * start). A page may be empty and not the last: what a call costs is bounded by `limit`, however rare the filter's rows.
   */
  list(filter: ListFilter, after: string, limit: number): ListPage;

  /** What became of the domain's ids, oldest first, at most {@link HISTORY_LENGTH}. */
  history(domain: string): HistoryStep[];

  /** Counts the rows, off the main thread. `now` is where the seven days of `expiringSoon` start. */
  counts(now: number): Promise<StoreCounts>;

  /** Domains whose rows other processes wrote or deleted since the last call; cheap when there are none. */
  changedElsewhere(): string[];

  health(): StoreHealth;

  /** What another process knows the file by that is read here (sharedIdentity of sqlite-file.ts); undefined where there is none. */
  identity(): string | undefined;

  /** Writes that wait for the disk, those that failed and are tried again included. */
  waitingWrites(): number;

  /** Writes what is still to be written, then closes. Idempotent. */
  close(): Promise<void>;
}

/**
 * When the refresher has to fetch the row's policy: at `renewAt`, not before a failed fetch may be tried again; for an id
 * that is newer than the pin's, as soon as that. Undefined without a pin: nothing can lapse. `checkAt` does not count: a
 * record is looked up again only when somebody asks for the domain. The column `next_at` says the same in SQL.
 */
export function dueAt({ pin, failure }: Entry): number | undefined {
  if (pin === undefined) return undefined;
  if (failure === undefined) return pin.renewAt;
  return failure.recordId === pin.recordId ? Math.max(pin.renewAt, failure.retryAt) : failure.retryAt;
}

/** From when the row says nothing any more. The column `spent_at` says the same in SQL. */
export function spentAt({ pin, failure, checkAt }: Entry): number {
  return pin?.expiresAt ?? Math.max(checkAt, failure?.retryAt ?? 0);
}
