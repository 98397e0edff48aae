/** Replaces a damaged file by a new one with all rows that can still be read. */
import { chmodSync, existsSync, linkSync, renameSync, rmSync, statSync } from "node:fs";
import Database from "better-sqlite3";
import { salvage } from "./salvage.ts";
import { storeError } from "./sqlite-error.ts";
import { fileIdentity, openFile, type FileOptions } from "./sqlite-file.ts";
import type { SetAsideReport } from "./writer-protocol.ts";

/** Milliseconds to wait for another process that is at the same work. */
const PATIENCE = 300_000;

/**
 * Sets the file at `options.path` aside as `<path>.damaged-<time of at>`, with its log, and puts a new one in its place.
 * Until that moment the damaged one stays, so that others go on reading what they can. Undefined, and nothing done,
 * when the file is no longer `damaged` (see {@link fileIdentity}), because another process was faster.
 * Throws {@link StoreError} when the new file cannot be written.
 */
export function setAside(
  options: FileOptions,
  damaged: string | undefined,
  at: number,
): SetAsideReport | undefined {
  const { path } = options;
  const lockPath = `${path}.lock`;
  try {
    const lock = new Database(lockPath, { timeout: PATIENCE });
    try {
      lock.exec("BEGIN EXCLUSIVE");
      const report = fileIdentity(path) === damaged ? replace(options, at) : undefined;
      // Gone before it is free: who waits for it then finds the file replaced, and does nothing.
      rmSync(lockPath, { force: true });
      return report;
    } finally {
      lock.close();
    }
  } catch (cause) {
    throw storeError(cause, path);
  }
}

function replace(options: FileOptions, at: number): SetAsideReport {
  const { path } = options;
  const freshPath = `${path}.salvage`;
  for (const suffix of ["", "-wal", "-shm"]) rmSync(freshPath + suffix, { force: true });
  const guard = holdWriters(options);
  try {
    const salvaged = copyTo(freshPath, options);
    return { setAside: swap(path, freshPath, at), salvaged };
  } finally {
    guard?.close();
  }
}

/** Keeps others from writing rows into the damaged file that would not be carried over, where it is whole enough for that. */
function holdWriters({ path, busyTimeout }: FileOptions): Database.Database | undefined {
  if (statSync(path).size === 0) return undefined;
  const guard = new Database(path, { timeout: busyTimeout });
  try {
    return guard.exec("BEGIN IMMEDIATE");
  } catch {
    guard.close();
    return undefined;
  }
}

function copyTo(freshPath: string, options: FileOptions): number {
  const fresh = openFile({ ...options, path: freshPath });
  try {
    const salvaged = salvage(options.path, fresh);
    // As one file: a log would not follow when it is renamed.
    fresh.pragma("journal_mode = DELETE");
    return salvaged;
  } finally {
    fresh.close();
  }
}

/** Answers with the damaged file's new name. */
function swap(path: string, freshPath: string, at: number): string {
  const aside = freeName(`${path}.damaged-${new Date(at).toISOString().slice(0, 19).replaceAll(":", "-")}Z`);
  // A second name, so that the path is never without a file; its log goes before the new file could be read with it.
  try {
    linkSync(path, aside);
  } catch {
    renameSync(path, aside);
  }
  for (const suffix of ["-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  renameSync(freshPath, path);
  chmodSync(path, 0o600);
  return aside;
}

function freeName(name: string): string {
  let candidate = name;
  for (let n = 2; existsSync(candidate); n++) candidate = `${name}-${n}`;
  return candidate;
}
