/** Reads what can be read of a damaged database. */
import { statSync } from "node:fs";
import Database from "better-sqlite3";
import { ENTRY_COLUMNS, type Row } from "./sqlite-row.ts";

/** Ids read by one query; where it fails, the range is halved until the rows that cannot be read stand alone. */
const RANGE = 1024;
/** Rows with one change number: no more than a transaction of the writer has. */
const CHANGES_TOGETHER = 1000;
/** Bytes that one domain takes at least in the file, with its index entries. */
const SMALLEST_ROW = 256;

/**
 * Copies the readable, plausible rows of the file at `path` into `fresh`, in one transaction, with the DANE states of their
 * domains; answers with the number of domains. The damaged file is not written to. Throws SQLite's errors of writing only.
 */
export function salvage(path: string, fresh: Database.Database): number {
  // Opening an empty file would delete the log beside it.
  if (statSync(path).size === 0) return 0;
  let damaged: Database.Database;
  try {
    damaged = new Database(path, { readonly: true, fileMustExist: true });
    // Otherwise SQLite refuses a file that is shorter than its header says as a whole.
    damaged.unsafeMode(true).pragma("writable_schema = ON");
  } catch {
    return 0;
  }
  try {
    return fresh.transaction(copyAll)(damaged, fresh);
  } finally {
    damaged.close();
  }
}

function copyAll(damaged: Database.Database, fresh: Database.Database): number {
  // Writer -1 is nobody: every process takes the rows for another's.
  const columns = ENTRY_COLUMNS.join(", ");
  const insertEntry = fresh.prepare(
    `INSERT INTO domain (${columns}, change, writer)
     VALUES (${ENTRY_COLUMNS.map((column) => `:${column}`).join(", ")}, :change, -1)`,
  );
  const insertStep = fresh.prepare(
    "INSERT INTO id_history (domain, first_seen, record_id, outcome) VALUES (:domain, :first_seen, :record_id, :outcome)",
  );
  const insertDane = fresh.prepare("INSERT INTO dane (domain, kind) VALUES (:domain, :kind)");
  const daneOf = daneReader(damaged);
  let entries = 0;
  for (const row of readable<Row>(damaged, "domain", columns)) {
    // In portions, as if by many transactions: other processes read them so.
    const change = 1 + Math.floor(entries / CHANGES_TOGETHER);
    if (!isPlausible(row) || !wasInserted(insertEntry, { ...row, change })) continue;
    entries++;
    const kind = daneOf(row.domain);
    if (kind !== undefined) wasInserted(insertDane, { domain: row.domain, kind });
  }
  for (const row of readable(damaged, "id_history", "domain, first_seen, record_id, outcome")) {
    wasInserted(insertStep, row);
  }
  fresh.prepare("UPDATE counter SET change = ?").run(1 + Math.floor(entries / CHANGES_TOGETHER));
  return entries;
}

/** Reads the DANE state of a domain: undefined where there is none, it cannot be read, or the file is older than the table. */
function daneReader(damaged: Database.Database): (domain: string) => string | undefined {
  let query: Database.Statement<[string], string>;
  try {
    query = damaged.prepare<[string], string>("SELECT kind FROM dane WHERE domain = ?").pluck();
  } catch {
    return () => undefined;
  }
  return (domain) => {
    try {
      return query.get(domain);
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error;
      return undefined;
    }
  };
}

/** The rows of `table` by ranges of ids; none when not even the schema can be read. */
function* readable<T>(db: Database.Database, table: "domain" | "id_history", columns: string): Generator<T> {
  let query;
  try {
    query = db.prepare<[number, number], T>(`SELECT ${columns} FROM ${table} WHERE id BETWEEN ? AND ?`);
  } catch {
    return;
  }
  const highest = highestId(db, table);
  for (let low = 1; low <= highest; low += RANGE) yield* readRange(query, low, low + RANGE - 1);
}

function* readRange<T>(
  query: Database.Statement<[number, number], T>,
  low: number,
  high: number,
): Generator<T> {
  try {
    yield* query.all(low, high);
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    if (low === high) return;
    const middle = Math.floor((low + high) / 2);
    yield* readRange(query, low, middle);
    yield* readRange(query, middle + 1, high);
  }
}

/** As the table tells, or an index on it; else as many as the file could hold. */
function highestId(db: Database.Database, table: "domain" | "id_history"): number {
  const index = table === "domain" ? "domain_spent" : "id_history_domain";
  for (const query of [`max(id) FROM ${table}`, `max(+id) FROM ${table} INDEXED BY ${index}`]) {
    try {
      return db.prepare<[], number>(`SELECT ${query}`).pluck().get() ?? 0;
    } catch {
      // Damaged as well.
    }
  }
  return Math.ceil(statSync(db.name).size / SMALLEST_ROW);
}

/** A page overwritten with another's content can still parse: the columns of a pin must agree with its text. */
function isPlausible(row: Row): boolean {
  if (row.record_id === null) return true;
  if (typeof row.text !== "string" || typeof row.mx !== "string") return false;
  const text = row.text.toLowerCase();
  return text.includes(row.mode) && row.mx.split("\n").every((pattern) => text.includes(pattern));
}

/** False for a row that breaks a rule of the table. */
function wasInserted(insert: Database.Statement, row: unknown): boolean {
  try {
    insert.run(row);
    return true;
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_CONSTRAINT")) return false;
    throw error;
  }
}
