/** The cache of postfix-mta-sts-resolver (mta-sts-daemon), an SQLite file. */
import Database from "better-sqlite3";
import * as z from "zod/mini";

import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";
import { foreignRow } from "./foreign-pin.ts";
import type { ForeignRow } from "./foreign-pin.ts";

/** `ts` is in seconds, and moves on whenever the id is found unchanged: the moment of the fetch itself is not kept. */
const row = z.object({
  domain: z.string(),
  ts: z.int(),
  pol_id: z.nullable(z.string()),
  pol_body: z.string(),
});

/** The parsed policy; its keys but for these, and their order, are of no use to us. */
const body = z.object({ mode: z.string(), mx: z.array(z.string()), max_age: z.int() });

/**
 * Every row, in the order of domain names. The file is only read, and may be in use.
 *
 * @param now milliseconds since 1970
 * @throws {CommandError} when it is no such file
 */
export async function* readMtaStsDaemonCache(path: string, now: number): AsyncGenerator<ForeignRow> {
  const db = open(path);
  try {
    const rows = db.prepare("SELECT domain, ts, pol_id, pol_body FROM sts_policy_cache ORDER BY domain");
    for (const found of rows.iterate()) yield readRow(found, now);
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    db.close();
  }
}

function open(path: string): Database.Database {
  try {
    return new Database(path, { readonly: true, fileMustExist: true });
  } catch (error) {
    throw unreadable(path, error);
  }
}

function readRow(found: unknown, now: number): ForeignRow {
  const columns = z.safeParse(row, found);
  if (!columns.success)
    return { result: "refused", domain: "", reason: "the row has columns of another type" };
  const { domain, ts, pol_id: id, pol_body: json } = columns.data;
  const policy = z.safeParse(body, parseJson(json));
  if (!policy.success) return { result: "refused", domain, reason: "pol_body is no policy" };
  const { mode, mx, max_age: maxAge } = policy.data;
  const at = ts * 1000;
  return foreignRow({ domain, id: id ?? undefined, mode, mx, maxAge, fetchedAt: at, usedAt: at }, now);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(path: string, cause: unknown): CommandError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const advice = "want the sqlite cache of mta-sts-daemon (options.filename of its configuration)";
  return new CommandError(ExitCode.noInput, `${path}: ${reason}: ${advice}`, { cause });
}
