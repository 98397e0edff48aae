/** Makes, checks and opens the database file. */
import { accessSync, closeSync, constants, mkdirSync, openSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { migrate } from "./migrations.ts";
import { DamageError, storeError } from "./sqlite-error.ts";
import { StoreError, type StoreErrorCode } from "./store.ts";

export interface FileOptions {
  readonly path: string;
  /** Milliseconds to wait for a lock of another process. */
  readonly busyTimeout: number;
  /** The largest size of the file in pages of 4 KiB; for tests of a full disk. */
  readonly maxPages?: number | undefined;
}

/**
 * Makes the folder (mode 0700) and an empty file (0600) where they are missing, and looks whether this user may write
 * both. Throws {@link StoreError} with one line that names the path and the remedy.
 */
function prepareFile(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw refusal(cause, `cannot make the folder ${folder}`, "make it, or name another path for the store");
  }
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw refusal(
      cause,
      `cannot write to the folder ${folder}`,
      `let ${me()} own it, or name another path for the store`,
    );
  }
  try {
    // Never opens a file that is there: closing it again would drop the locks this process holds on it (fcntl(2)).
    closeSync(openSync(path, "wx", 0o600));
  } catch (cause) {
    if (errno(cause) !== "EEXIST")
      throw refusal(cause, `cannot make ${path}`, "make room, or name another path for the store");
  }
  if (!statSync(path).isFile()) {
    throw new StoreError("cannot-create", `${path} is not a regular file: name another path for the store`);
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw refusal(
      cause,
      `cannot write ${path}`,
      `let ${me()} own it with mode 0600, or name another path for the store`,
    );
  }
}

/**
 * Opens the file and brings its tables up to date. Does not search it for damage, but reads enough to find one that no
 * use could miss. Throws {@link StoreError}, a {@link DamageError} where it is damaged.
 */
export function openFile({ path, busyTimeout, maxPages }: FileOptions): Database.Database {
  prepareFile(path);
  const identity = fileIdentity(path);
  if (isHollow(path)) throw new DamageError(`${path} is empty, but its write-ahead log is not`, identity);
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: busyTimeout });
    migrate(db);
    db.pragma("journal_mode = WAL");
    // The prebuilt SQLite defaults to NORMAL in WAL mode, which loses the last commits with the power.
    db.pragma("synchronous = FULL");
    // After a burst the log shrinks to this many bytes again.
    db.pragma("journal_size_limit = 16777216");
    // KiB, for each of two connections: what is asked for often is in memory anyway, and the rest in that of the kernel.
    db.pragma("cache_size = -2000");
    if (maxPages !== undefined) db.pragma(`max_page_count = ${maxPages}`);
    db.prepare("SELECT * FROM domain ORDER BY id DESC LIMIT 1").get();
    db.prepare("SELECT change FROM domain ORDER BY change DESC LIMIT 1").get();
    return db;
  } catch (cause) {
    db?.close();
    throw storeError(cause, path, identity);
  }
}

/** What tells the file at `path` from another that took its place; undefined when there is none. */
export function fileIdentity(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}`;
}

/**
 * What tells the file at `path`, while somebody has it open, from any other, and from itself by a name or a mount where
 * another log lies beside it. Undefined when nobody has it open, or this user may not look.
 *
 * @param file its {@link fileIdentity}
 */
export function sharedIdentity(path: string, file: string | undefined): string | undefined {
  try {
    // SQLite goes by the name behind symbolic links too.
    const memory = fileIdentity(`${realpathSync(path)}-shm`);
    return file && memory && `${file} ${memory}`;
  } catch {
    return undefined;
  }
}

/** A file cut to nothing beside its log: SQLite would take it for a new one and delete the log. */
export function isHollow(path: string): boolean {
  return statSync(path).size === 0 && (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

function refusal(cause: unknown, what: string, remedy: string): StoreError {
  const codes: Record<string, StoreErrorCode> = {
    EROFS: "read-only",
    EACCES: "permission",
    EPERM: "permission",
    ENOSPC: "full",
    EDQUOT: "full",
    EIO: "io",
  };
  const code = errno(cause);
  const why: Record<string, string> = {
    EROFS: "the file system is read-only",
    EACCES: "permission denied",
    EPERM: "permission denied",
    ENOSPC: "the disk is full",
    ENOTDIR: "a part of the path is a file",
    EEXIST: "a file of that name is in the way",
  };
  return new StoreError(codes[code] ?? "cannot-create", `${what} (${why[code] ?? code}): ${remedy}`, {
    cause,
  });
}

function errno(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
}

function me(): string {
  return `user id ${process.geteuid?.() ?? "of the daemon"}`;
}
