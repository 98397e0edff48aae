/** `stsmapd cache list` and `cache export`: rows, as a table or as JSON Lines. */
import type { CacheFilter } from "../lookup/cache/cache-admin.ts";
import type { CacheRecord } from "../lookup/cache/record.ts";
import { withPages } from "./cache-access.ts";
import type { CacheOptions } from "./cache-access.ts";
import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";
import { idText } from "./id-text.ts";
import { Output } from "./output.ts";

export interface ListOptions extends CacheOptions, CacheFilter {
  readonly json?: boolean;
}

const COLUMNS = [
  ["DOMAIN", 32],
  ["MODE", 8],
  ["ID", 18],
  ["FETCHED", 17],
  ["EXPIRES", 17],
  ["USED", 11],
  ["LAST FAILURE", 0],
] as const;

/** Times of the table are UTC. */
export async function cacheList({ config, json, ...filter }: ListOptions): Promise<number> {
  if (filter.map !== undefined && filter.wouldEnforce !== true)
    throw new CommandError(ExitCode.usage, "--map says nothing without --would-enforce");
  return withPages(config === undefined ? {} : { config }, filter, async (pages) => {
    const output = new Output();
    if (json !== true) await output.write(row(COLUMNS.map(([title]) => title)));
    for await (const page of pages) {
      for (const record of page) {
        await (json === true ? output.json(record) : output.write(row(cells(record))));
      }
      if (output.isCutOff) break;
    }
    return ExitCode.ok;
  });
}

function cells({ domain, pin, failure, used_at }: CacheRecord): string[] {
  return [
    domain,
    pin?.mode ?? "-",
    idText(pin?.id ?? failure?.id ?? "-"),
    minute(pin?.fetched_at),
    minute(pin?.expires_at),
    used_at.slice(0, 10),
    failure === null ? "-" : `${failure.reason} ${minute(failure.failed_at)}`,
  ];
}

function minute(iso: string | undefined): string {
  return iso === undefined ? "-" : iso.slice(0, 16).replace("T", " ");
}

function row(texts: readonly string[]): string {
  const padded = texts.map((text, index) => text.padEnd(COLUMNS[index]?.[1] ?? 0));
  return `${padded.join(" ").trimEnd()}\n`;
}
