/** Takes rows into the cache, page by page: a page shares its transaction, and lookups go on between two. */
import type { Entry, PolicyStore } from "../../store/store.ts";
import type { ImportOptions, ImportResult } from "./cache-admin.ts";
import { CacheRecordError, parseRecord } from "./record.ts";
import { livePin } from "../freshness.ts";

export interface ImportDeps {
  readonly store: PolicyStore;
  /** Called when the row of a domain has changed. */
  readonly changed: (domain: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds for which a policy holds at least. */
  readonly leastLifetime: number;
}

/** Lines that are read before they are written together, and the octets of them. */
const PAGE_LINES = 100;
const PAGE_OCTETS = 2 ** 22;

const BLANK = /^[ \t\r]*$/;

interface NumberedLine {
  readonly number: number;
  readonly line: Uint8Array;
}

/** See CacheAdmin.import. */
export async function* importRecords(
  lines: AsyncIterable<Uint8Array>,
  options: ImportOptions,
  deps: ImportDeps,
): AsyncGenerator<ImportResult> {
  let number = 0;
  let octets = 0;
  let page: NumberedLine[] = [];
  const write = () => Promise.all(page.map((line) => importLine(line, options, deps)));
  for await (const line of lines) {
    number++;
    if (isBlank(line)) continue;
    page.push({ number, line });
    octets += line.length;
    if (page.length < PAGE_LINES && octets < PAGE_OCTETS) continue;
    yield* await write();
    page = [];
    octets = 0;
  }
  yield* await write();
}

function isBlank(line: Uint8Array): boolean {
  return line.length < 100 && BLANK.test(Buffer.from(line).toString("latin1"));
}

async function importLine(
  { number, line }: NumberedLine,
  { keepLive }: ImportOptions,
  { store, changed, now, leastLifetime }: ImportDeps,
): Promise<ImportResult> {
  let entry: Entry;
  try {
    entry = parseRecord(line, now(), leastLifetime);
  } catch (error) {
    if (!(error instanceof CacheRecordError)) throw error;
    return { line: number, domain: null, result: "refused", reason: error.message };
  }
  const { domain } = entry;
  const reason = reasonToKeep(store.get(domain), entry, keepLive, now());
  if (reason !== undefined) return { line: number, domain, result: "kept", reason };
  await store.put(entry);
  changed(domain);
  return { line: number, domain, result: "accepted", reason: null };
}

function reasonToKeep(
  stored: Entry | undefined,
  entry: Entry,
  keepLive: boolean,
  now: number,
): string | undefined {
  if (stored?.pin === undefined) return undefined;
  if (keepLive && livePin(stored, now) !== undefined) return "a policy is held";
  const { fetchedAt } = stored.pin;
  if (entry.pin === undefined) return "a policy is held, and the line has none";
  if (entry.pin.fetchedAt < fetchedAt) return "the policy held was fetched later";
  return undefined;
}
