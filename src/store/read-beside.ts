/** Reads the file of a daemon beside it, in another process. */
import Database from "better-sqlite3";
import { isNewest } from "./migrations.ts";
import { storeError } from "./sqlite-error.ts";
import { fileIdentity, isHollow, sharedIdentity } from "./sqlite-file.ts";
import { SqliteReader } from "./sqlite-reader.ts";
import type { PolicyStore } from "./store.ts";

export interface FileBeside extends Pick<PolicyStore, "list"> {
  close(): void;
}

/**
 * Opens the file at `path` if it is the one that a daemon has open, as its {@link PolicyStore.identity} says. Undefined where
 * it is not, this user may not read it, or its tables are of another version: the daemon will know better.
 *
 * Nothing is written: a connection that may only read neither migrates nor checkpoints, and the daemon's log and shared
 * memory are there. Where they are not any more, SQLite makes them: root becomes the file's owner before it comes here. Each
 * `list` is a transaction of its own, so that no checkpoint waits for whoever reads slowly.
 */
export function readBeside(path: string, identity: string): FileBeside | undefined {
  let db: Database.Database | undefined;
  try {
    const isTheDaemons = () => sharedIdentity(path, fileIdentity(path)) === identity;
    if (!isTheDaemons() || isHollow(path)) return undefined;
    db = new Database(path, { readonly: true, fileMustExist: true });
    const reader = isNewest(db) ? new SqliteReader(db) : undefined;
    // Once more, lest another took its place meanwhile.
    if (reader !== undefined && isTheDaemons()) return fileBeside(path, reader);
  } catch {
    // The daemon tells what is wrong, where that concerns it too.
  }
  db?.close();
  return undefined;
}

function fileBeside(path: string, reader: SqliteReader): FileBeside {
  return {
    list(filter, after, limit) {
      try {
        return reader.list(filter, after, limit);
      } catch (cause) {
        throw storeError(cause, path);
      }
    },
    close: () => reader.close(),
  };
}
