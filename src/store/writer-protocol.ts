/** What the main thread asks of the writer thread, and what it gets. */
import type { KnownDaneKind } from "../policy/verdict.ts";
import type { FileOptions } from "./sqlite-file.ts";
import type { RowValues } from "./sqlite-row.ts";
import type { Backlog, StoreCounts, StoreErrorCode } from "./store.ts";

export interface WriterOptions extends FileOptions {
  /** Milliseconds: a touch that would move `used_at` by less is not written. */
  readonly touchStep: number;
}

/** One write of a batch, done in the order given. */
export type Write =
  | { readonly kind: "put"; readonly row: RowValues; readonly dane: KnownDaneKind | undefined }
  | { readonly kind: "dane"; readonly domain: string; readonly dane: KnownDaneKind }
  | { readonly kind: "delete"; readonly domain: string };

export type Touch = readonly [domain: string, usedAt: number];

/** What SQLite or the disk did not do, in a form that passes between threads. */
export interface WriteFailure {
  readonly code: StoreErrorCode;
  readonly message: string;
  /** Of a damaged file: its {@link fileIdentity}. */
  readonly identity?: string | undefined;
}

export interface SetAsideReport {
  /** Where the damaged file is now. */
  readonly setAside: string;
  /** Rows carried over into the new file. */
  readonly salvaged: number;
}

export interface Requests {
  /**
   * One transaction. Answers with the failures by index of the write, and whether the file was written to: touches that move
   * nothing do not, nor does a DANE state that is known already, or of a domain without a row. A failed transaction rejects.
   */
  write: {
    in: { readonly writes: readonly Write[]; readonly touches: readonly Touch[] };
    out: {
      readonly writer: number;
      readonly failures: ReadonlyMap<number, WriteFailure>;
      readonly hasWritten: boolean;
    };
  };
  /** Deletes at most `limit` rows and answers how many it did. */
  deleteExpired: {
    in: { readonly now: number; readonly unusedSince: number; readonly limit: number };
    out: number;
  };
  /** Rebases rows among the `limit` whose ids follow `after`; `last` is undefined after the last of them. */
  rebase: {
    in: { readonly now: number; readonly after: number; readonly limit: number };
    out: { readonly moved: number; readonly last: number | undefined };
  };
  /** This and the next only read, but too much for the main thread. */
  backlog: {
    in: {
      readonly now: number;
      readonly usedSince: number;
      readonly limit: number;
      readonly dueAfter: number;
    };
    out: Backlog;
  };
  counts: { in: { readonly now: number }; out: StoreCounts };
  /** Sets the file aside, unless it is no longer the `damaged` one: then undefined. `at` goes into its name. */
  setAside: {
    in: { readonly damaged: string | undefined; readonly at: number };
    out: SetAsideReport | undefined;
  };
  close: { in: undefined; out: undefined };
}

export type RequestKind = keyof Requests;
export type RequestMessage = {
  [K in RequestKind]: { readonly id: number; readonly kind: K; readonly in: Requests[K]["in"] };
}[RequestKind];
export type ResponseMessage =
  | { readonly id: number; readonly out: never }
  | { readonly id: number; readonly failure: WriteFailure };
