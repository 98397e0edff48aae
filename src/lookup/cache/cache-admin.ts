/**
 * What an administrator can do with the cache. The running daemon offers it on its admin socket; the command line does the
 * same on the file itself when the daemon is down. All that goes in and out is JSON.
 */
import type { PolicyMode } from "../../policy/policy.ts";
import type { DaneState, KnownDaneKind, NotFoundReason } from "../../policy/verdict.ts";
import type { CacheRecord } from "./record.ts";
import type { ResolutionOutcome } from "../events.ts";

/** Rows that meet all that is set. Durations in milliseconds. */
export interface RowFilter {
  readonly mode?: PolicyMode;
  /** The policy was fetched longer ago than this. */
  readonly olderThan?: number;
  /** The policy expires within this time, or has expired. */
  readonly expiresWithin?: number;
  /** Whether the last fetch failed. */
  readonly failed?: boolean;
}

/** The file of a daemon. */
export interface CacheFile {
  /** {@link PolicyStore.identity} */
  readonly identity: string;
  /** The daemon's clock: milliseconds since 1970. */
  readonly now: number;
}

/** The same, and what follows from the rules in force. */
export interface CacheFilter extends RowFilter {
  /** A map in force would enforce the policy, were its rollout further on. */
  readonly wouldEnforce?: true;
  /** Only this map counts for `wouldEnforce`. */
  readonly map?: string;
}

/** All that is known of one domain, and what follows from it. Times are ISO 8601 in UTC. */
export interface CacheReport {
  /** The moment it was written. */
  readonly at: string;
  readonly domain: string;
  /**
   * - `pinned`: a policy is held, and applied until it expires.
   * - `expired`: the policy held has run out; the next question looks for another.
   * - `failing`: a record was seen, but no policy could be fetched.
   * - `absent`: DNS says that there is no policy.
   * - `unreachable`: DNS could not be asked, and nothing is held.
   * - `unknown`: nothing is remembered.
   */
  readonly state: "pinned" | "expired" | "failing" | "absent" | "unreachable" | "unknown";
  /** The row; null where nothing is remembered. "Absent" and "unreachable" are remembered in memory only. */
  readonly record: CacheRecord | null;
  /** Whether the daemon holds it in memory; null from the file. */
  readonly in_memory: boolean | null;
  /** Why DNS could not be asked the last time. */
  readonly dns_failure: string | null;
  /** What became of its ids, oldest first. */
  readonly history: readonly { readonly id: string; readonly first_seen: string; readonly outcome: string }[];
  /** What happens next by itself; null: nothing. */
  readonly next: { readonly at: string; readonly action: NextAction } | null;
  readonly dane: DaneReport;
  readonly override: {
    readonly domain: string;
    readonly action: string;
    readonly until: string | null;
    readonly comment: string | null;
  } | null;
  /** What each map is answered right now. */
  readonly answers: readonly CacheAnswer[];
}

/** What is known of a domain's DANE state. */
export interface DaneReport {
  /** What was last known, kept over restarts and failures of DNS. */
  readonly last_known: KnownDaneKind | null;
  /** What memory holds; null where nothing was asked yet. */
  readonly held: {
    readonly state: DaneState["kind"];
    /** Why it is unknown. */
    readonly reason: string | null;
    /** From then on it is looked up again when an answer depends on it. */
    readonly until: string;
  } | null;
}

/**
 * - `check`: the record is asked for again at the first question from then on, or by the refresher.
 * - `renew`: the policy is fetched although the id is the same.
 * - `retry`: a fetch that failed is tried again.
 * - `expire`: the policy stops being applied.
 */
export type NextAction = "check" | "renew" | "retry" | "expire";

export interface CacheAnswer {
  readonly map: string;
  /** In the words of socketmap: `OK …`, `NOTFOUND`, `TEMP …`; null where the question has to be looked into first. */
  readonly answer: string | null;
  readonly because: AnswerReason;
}

/**
 * Why a map is answered so. `policy`: MTA-STS is enforced. `would-enforce`: it would be, were the map's rollout further on.
 * `deferred`: see the answer. `not-known`: nothing to answer from.
 */
export type AnswerReason =
  | NotFoundReason
  | "policy"
  | "would-enforce"
  | "dane-level"
  | "deferred"
  | "override"
  | "not-known";

export interface RefreshResult {
  readonly domain: string;
  readonly outcome: ResolutionOutcome["kind"];
  /** The id of the record, where one was seen. */
  readonly id: string | null;
  /** Why there is no new policy. */
  readonly reason: string | null;
  /** What is held afterwards; null: nothing. */
  readonly record: CacheRecord | null;
}

/** What became of one line. */
export interface ImportResult {
  /** Counted from 1. */
  readonly line: number;
  readonly domain: string | null;
  /** `kept`: what the cache held is better and stays. `skipped`: a line of another daemon that carries no policy. */
  readonly result: "accepted" | "kept" | "skipped" | "refused";
  readonly reason: string | null;
}

export interface ImportOptions {
  /** Leaves every domain alone for which a policy is held: for lines that know less than a fetch would tell. */
  readonly keepLive: boolean;
}

/** Every method fails with a {@link StoreError} where the store does, and with whatever its way to the cache may fail with. */
export interface CacheAdmin {
  /**
   * All rows that `filter` lets through, by pages in the order of names. An export is a list of all. A page may be empty: more
   * is looked through only as long as somebody reads.
   */
  list(filter: CacheFilter): AsyncIterable<readonly CacheRecord[]>;

  /** What another process needs to read the file itself; undefined where it is not told. */
  file(): Promise<CacheFile | undefined>;

  /** @param domain lower-case A-labels, as everywhere here */
  show(domain: string): Promise<CacheReport>;

  /**
   * Asks for the record and fetches the policy now, even where the id is the same or a failure is being left alone. Whatever
   * comes of it, a policy that is held is replaced by a fetched one only.
   */
  refresh(domain: string): Promise<RefreshResult>;

  /** The same for every domain with a policy, fifty a second at most. Whoever stops reading stops it. */
  refreshAll(): AsyncIterable<RefreshResult>;

  /** Deletes the row, its history, and what memory holds. False where there was nothing. */
  forget(domain: string): Promise<boolean>;

  /**
   * Takes rows, a record a line (see record.ts); blank lines count and say nothing. One result a line, when it is on
   * disk. A policy never replaces one that was fetched later.
   *
   * @param lines without their ends
   */
  import(lines: AsyncIterable<Uint8Array>, options: ImportOptions): AsyncIterable<ImportResult>;
}
