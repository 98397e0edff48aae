/** How much room there is for the cache file. */
// Not node:fs/promises, which loads node:readline too: 2 ms before the first answer.
import { promises as fs } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as after } from "node:timers/promises";

/** Milliseconds; a disk that hangs must not keep whoever asks. */
const PATIENCE = 1_000;

/** By folder. Whoever asks while the disk hangs joins in: each question to it takes one of libuv's four threads. */
const underWay = new Map<string, Promise<number>>();

/** Bytes that may be written beside the file at `path`; undefined where that cannot be told. Never rejects. */
export async function freeSpace(path: string): Promise<number | undefined> {
  const folder = dirname(path);
  const asked = underWay.get(folder) ?? ask(folder);
  const late = after(PATIENCE, undefined, { ref: false });
  return Promise.race([asked, late]).catch(() => undefined);
}

function ask(folder: string): Promise<number> {
  const asked = fs
    .statfs(folder)
    .then(({ bavail, bsize }) => bavail * bsize)
    .finally(() => underWay.delete(folder));
  underWay.set(folder, asked);
  return asked;
}
