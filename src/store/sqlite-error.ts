/** SQLite's result codes in our words. */
import { StoreError, type StoreErrorCode } from "./store.ts";

/** By the primary code; SQLITE_IOERR_FSYNC and the like are covered by their beginning. */
const CODES: readonly (readonly [prefix: string, code: StoreErrorCode])[] = [
  ["SQLITE_BUSY", "busy"],
  ["SQLITE_LOCKED", "busy"],
  ["SQLITE_FULL", "full"],
  ["SQLITE_READONLY", "read-only"],
  ["SQLITE_CORRUPT", "corrupt"],
  ["SQLITE_NOTADB", "corrupt"],
  ["SQLITE_PERM", "permission"],
  ["SQLITE_CONSTRAINT", "invalid"],
  ["SQLITE_MISMATCH", "invalid"],
  ["SQLITE_RANGE", "invalid"],
  ["SQLITE_TOOBIG", "invalid"],
  ["SQLITE_", "io"],
];

/** `corrupt`, with the {@link fileIdentity} of the file it was found in: another may stand at the path by now. */
export class DamageError extends StoreError {
  readonly identity: string | undefined;

  constructor(message: string, identity: string | undefined, options?: ErrorOptions) {
    super("corrupt", message, options);
    this.identity = identity;
  }
}

/**
 * `cause` as a {@link StoreError} about the file at `path`, of this `identity`; a {@link DamageError} where it is damaged.
 * What is no error of SQLite is one of binding a value.
 */
export function storeError(cause: unknown, path: string, identity?: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const sqliteCode = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const code = CODES.find(([prefix]) => sqliteCode.startsWith(prefix))?.[1] ?? "invalid";
  const message = cause instanceof Error ? cause.message : String(cause);
  const text = `${path}: ${message}`;
  return code === "corrupt"
    ? new DamageError(text, identity, { cause })
    : new StoreError(code, text, { cause });
}
