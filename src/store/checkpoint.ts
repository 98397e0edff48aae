/** Works the write-ahead log off into the file, so that the file is whole alone. */
import type Database from "better-sqlite3";

/** Milliseconds between two tries, in which a reader's page ends. */
const PAUSE = 20;

/** A second in all, of the thirty that systemd gives a stop. Who reads for longer is none of ours. */
const TRIES = 50;

/**
 * Waits for no lock, but blocks this thread for a second at most: what was written after a reader of another process began
 * stays in the log until it ends, and ours ends with each page of rows. Throws what SQLite throws.
 */
export function workOffLog(db: Database.Database): void {
  const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));
  for (let n = 0; n < TRIES; n++) {
    if (isWhole(db.pragma("wal_checkpoint(PASSIVE)"))) return;
    Atomics.wait(nobodyWakes, 0, 0, PAUSE);
  }
}

/** One row: whether another was at it, the frames of the log, and how many of them are in the file. */
function isWhole(rows: unknown): boolean {
  const row: unknown = Array.isArray(rows) ? rows[0] : undefined;
  if (typeof row !== "object" || row === null) return false;
  return Reflect.get(row, "busy") === 0 && Reflect.get(row, "log") === Reflect.get(row, "checkpointed");
}
