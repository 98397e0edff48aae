/** The rows of a running daemon's file, read by this process, so that the daemon's lookups wait for none of them. */
import { setImmediate as nextTurn } from "node:timers/promises";

import type { CacheFile, RowFilter } from "../lookup/cache/cache-admin.ts";
import { toRecord } from "../lookup/cache/record.ts";
import type { CacheRecord } from "../lookup/cache/record.ts";
import { storedPages } from "../lookup/cache/stored-pages.ts";
import { readBeside } from "../store/read-beside.ts";
import type { FileBeside } from "../store/read-beside.ts";
import { becomeOwner } from "./become-owner.ts";

/** Rows read at once. */
const PAGE = 1000;

/**
 * Undefined where the daemon is to be asked: see {@link readBeside}.
 *
 * @param told what the daemon says of its file
 */
export function readPagesBeside(
  path: string,
  told: CacheFile,
  filter: RowFilter,
): AsyncGenerator<readonly CacheRecord[]> | undefined {
  const file = openAsOwner(path, told.identity);
  return file && recordPages(file, filter, told.now);
}

/** Where it is open, this process stays its owner: it makes nothing after it, and only prints. */
function openAsOwner(path: string, identity: string): FileBeside | undefined {
  let back: () => void;
  try {
    back = becomeOwner(path);
  } catch {
    // There is no such file, or root may not become another here, as in a container without capabilities.
    return undefined;
  }
  const file = readBeside(path, identity);
  if (file === undefined) back();
  return file;
}

async function* recordPages(
  file: FileBeside,
  filter: RowFilter,
  now: number,
): AsyncGenerator<readonly CacheRecord[]> {
  try {
    for (const page of storedPages(file, filter, PAGE, now)) {
      yield page.map(toRecord);
      // Whether anybody still reads the output is heard of in between.
      await nextTurn();
    }
  } finally {
    file.close();
  }
}
