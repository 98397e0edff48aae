/** The rows of a running daemon's file, read by this process, so that the daemon's lookups wait for none of them. */
import { setImmediate as nextTurn } from "node:timers/promises";

import type { RowFilter } from "../lookup/cache/cache-admin.ts";
import { toRecord } from "../lookup/cache/record.ts";
import type { CacheRecord } from "../lookup/cache/record.ts";
import { storedPages } from "../lookup/cache/stored-pages.ts";
import { readBeside } from "../store/read-beside.ts";
import type { FileBeside } from "../store/read-beside.ts";

/** Rows read at once. */
const PAGE = 1000;

/**
 * Undefined where the daemon is to be asked: see {@link readBeside}.
 *
 * @param identity of the daemon's file
 * @param now milliseconds since 1970
 */
export function readPagesBeside(
  path: string,
  identity: string,
  filter: RowFilter,
  now: number,
): AsyncGenerator<readonly CacheRecord[]> | undefined {
  const file = readBeside(path, identity);
  return file && recordPages(file, filter, now);
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
