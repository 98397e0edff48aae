/** How much room there is for the cache file. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as after } from "node:timers/promises";

/** Milliseconds; a disk that hangs must not keep whoever asks. */
const PATIENCE = 1_000;

/** Bytes that may be written beside the file at `path`; undefined where that cannot be told. Never rejects. */
export async function freeSpace(path: string): Promise<number | undefined> {
  const asked = statfs(dirname(path)).then(({ bavail, bsize }) => bavail * bsize);
  const late = after(PATIENCE, undefined, { ref: false });
  return Promise.race([asked, late]).catch(() => undefined);
}
