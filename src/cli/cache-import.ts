/** `stsmapd cache import`: rows from an export of ours, or from the cache of another daemon. */
import { createReadStream, statSync } from "node:fs";
import process from "node:process";

import type { CacheAdmin, ImportResult } from "../lookup/cache/cache-admin.ts";
import { MAX_RECORD_LINE } from "../lookup/cache/record.ts";
import { splitLines } from "../server/lines.ts";
import { say, withCache } from "./cache-access.ts";
import type { CacheOptions } from "./cache-access.ts";
import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";
import type { ForeignRow } from "./foreign-pin.ts";
import { Output } from "./output.ts";

export type ForeignSource = "mta-sts-daemon" | "postfix-tlspol";

interface ImportCommandOptions extends CacheOptions {
  readonly from?: ForeignSource;
  readonly json?: boolean;
}

/** @param file `-`: standard input. Status 65 where lines were refused; the others are taken all the same. */
export async function cacheImport(file: string, options: ImportCommandOptions): Promise<number> {
  const source = await openSource(file, options.from);
  return withCache(options, async (cache) => {
    const output = new Output();
    const counts = { accepted: 0, kept: 0, skipped: 0, refused: 0 };
    const results = source(cache);
    for await (const result of results) {
      counts[result.result]++;
      if (options.json === true) await output.json(result);
      else if (result.result !== "accepted") await output.write(`${text(result)}\n`);
    }
    say(
      `${counts.accepted} accepted, ${counts.kept} kept as they were, ${counts.skipped} skipped, ${counts.refused} refused`,
    );
    return counts.refused === 0 ? ExitCode.ok : ExitCode.dataError;
  });
}

function text({ line, domain, result, reason }: ImportResult): string {
  return `line ${line}${domain === null ? "" : `: ${domain}`}: ${result}: ${reason}`;
}

/**
 * Sends what can be carried over, and tells of the rest. A row that cannot is sent as a blank line, so that the numbers stay
 * those of the other daemon's rows. What that daemon knew never replaces a policy that we hold: ours was fetched by ourselves.
 */
async function* importForeign(
  cache: CacheAdmin,
  rows: AsyncIterable<ForeignRow | undefined>,
): AsyncGenerator<ImportResult> {
  const notTaken: ImportResult[] = [];
  async function* lines(): AsyncGenerator<Uint8Array> {
    let line = 0;
    for await (const row of rows) {
      line++;
      if (row !== undefined && "record" in row) {
        yield Buffer.from(JSON.stringify(row.record));
      } else {
        if (row !== undefined) notTaken.push({ line, ...row });
        yield Buffer.alloc(0);
      }
    }
  }
  for await (const result of cache.import(lines(), { keepLive: true })) {
    yield* notTaken.splice(0);
    yield result;
  }
  yield* notTaken;
}

/** Opens the file before anything else is touched, and gives what imports it. */
async function openSource(
  file: string,
  from: ForeignSource | undefined,
): Promise<(cache: CacheAdmin) => AsyncIterable<ImportResult>> {
  if (from === undefined) {
    const lines = linesOf(file);
    return (cache) => cache.import(lines, { keepLive: false });
  }
  const rows = await foreignRows(file, from);
  return (cache) => importForeign(cache, rows);
}

async function foreignRows(
  file: string,
  from: ForeignSource,
): Promise<AsyncIterable<ForeignRow | undefined>> {
  const { systemTime } = await import("../daemon.ts");
  const now = systemTime();
  if (from === "mta-sts-daemon") {
    const { readMtaStsDaemonCache } = await import("./mta-sts-daemon-cache.ts");
    return readMtaStsDaemonCache(file, now);
  }
  const { readTlspolLine } = await import("./tlspol-export.ts");
  return exportRows(linesOf(file), (line) => readTlspolLine(line, now));
}

async function* exportRows(
  lines: AsyncIterable<Uint8Array>,
  read: (line: string) => ForeignRow | undefined,
): AsyncGenerator<ForeignRow | undefined> {
  for await (const line of lines) yield read(Buffer.from(line).toString());
}

function linesOf(file: string): AsyncIterable<Uint8Array> {
  if (file === "-") return splitLines(process.stdin, MAX_RECORD_LINE);
  try {
    statSync(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(ExitCode.noInput, `cannot read ${file}: ${reason}`, { cause });
  }
  return splitLines(createReadStream(file), MAX_RECORD_LINE);
}
