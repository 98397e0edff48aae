/** The queries of the main thread. Each seeks in an index and reads a bounded number of rows, so none stalls the event loop. */
import type Database from "better-sqlite3";
import type { KnownDaneKind } from "../policy/verdict.ts";
import { meets } from "./list-filter.ts";
import { ENTRY_COLUMNS, entryOf, type Row } from "./sqlite-row.ts";
import type { Entry, HistoryStep, ListFilter, ListPage } from "./store.ts";
import { prepareUsedDays } from "./used-days.ts";

const COLUMNS = ENTRY_COLUMNS.join(", ");
/** More than a transaction of the writer holds, since all rows of one carry the same number. */
const CHANGES_AT_ONCE = 10_000;

interface Due {
  id: number;
  next_at: number;
}

/** Reads one open file. Throws SQLite's errors. */
export class SqliteReader {
  readonly #db: Database.Database;
  readonly #statements;
  readonly #usedDays;
  /** `PRAGMA data_version` when changes were last looked for; undefined when some may be left. */
  #dataVersion: number | undefined;
  /** The number of the last change seen. */
  #seen: number;

  /** Changes after number `seen` are reported; without it, those from now on. Owns `db` from here. */
  constructor(db: Database.Database, seen?: number) {
    this.#db = db;
    db.pragma("query_only = ON");
    this.#statements = prepareAll(db);
    this.#usedDays = prepareUsedDays(db);
    this.#seen = seen ?? this.#statements.lastChange.get() ?? 0;
  }

  get(domain: string): Entry | undefined {
    const row = this.#statements.get.get(domain);
    return row && entryOf(row);
  }

  due(now: number, usedSince: number, limit: number): Entry[] {
    let found: Due[] = [];
    let until = now;
    for (const day of this.#usedDays(usedSince)) {
      found.push(...this.#statements.dueInDay.all({ day, until, now, usedSince, limit }));
      found = found.sort((a, b) => a.next_at - b.next_at).slice(0, limit);
      // Once there are enough, a day can only add what was due before the last of them.
      if (found.length === limit) until = found.at(-1)?.next_at ?? until;
    }
    return found.flatMap(({ id }) => {
      const row = this.#statements.getById.get(id);
      return row ? [entryOf(row)] : [];
    });
  }

  nextDue(now: number, usedSince: number): number | undefined {
    let earliest: number | undefined;
    for (const day of this.#usedDays(usedSince)) {
      const next = this.#statements.nextInDay.get({ day, now, usedSince });
      if (next !== undefined) earliest = Math.min(next, earliest ?? next);
    }
    return earliest;
  }

  list(filter: ListFilter, after: string, limit: number): ListPage {
    const rows = this.#statements.page.all(after, limit);
    const entries = rows.map(entryOf).filter((entry) => meets(filter, entry));
    return { entries, next: rows.length < limit ? undefined : rows.at(-1)?.domain };
  }

  lastDane(domain: string): KnownDaneKind | undefined {
    return this.#statements.lastDane.get(domain);
  }

  history(domain: string): HistoryStep[] {
    return this.#statements.history.all(domain);
  }

  /** Domains changed by others than `writer`. */
  changedElsewhere(writer: number): string[] {
    const version = Number(this.#db.pragma("data_version", { simple: true }));
    if (version === this.#dataVersion) return [];
    const seen = this.#seen;
    // The bound is read first: what is committed between the two statements is left for the next call.
    const last = this.#statements.lastChange.get() ?? 0;
    const rows = this.#statements.changes.all({ seen, last, writer, limit: CHANGES_AT_ONCE });
    const more = rows.length === CHANGES_AT_ONCE;
    this.#seen = more ? (rows.at(-1)?.change ?? last) - 1 : last;
    this.#dataVersion = more ? undefined : version;
    return rows.map((row) => row.domain);
  }

  close(): void {
    this.#db.close();
  }
}

function prepareAll(db: Database.Database) {
  return {
    get: db.prepare<[string], Row>(`SELECT ${COLUMNS} FROM domain WHERE domain = ?`),
    getById: db.prepare<[number], Row>(`SELECT ${COLUMNS} FROM domain WHERE id = ?`),
    dueInDay: db.prepare<
      [{ day: number; until: number; now: number; usedSince: number; limit: number }],
      Due
    >(
      `SELECT id, next_at FROM domain
       WHERE used_day = :day AND next_at <= :until AND used_at >= :usedSince AND expires_at > :now ORDER BY next_at LIMIT :limit`,
    ),
    nextInDay: db
      .prepare<[{ day: number; now: number; usedSince: number }], number>(
        `SELECT next_at FROM domain
         WHERE used_day = :day AND next_at IS NOT NULL AND used_at >= :usedSince AND expires_at > :now ORDER BY next_at LIMIT 1`,
      )
      .pluck(),
    page: db.prepare<[string, number], Row>(
      `SELECT ${COLUMNS} FROM domain WHERE domain > ? ORDER BY domain LIMIT ?`,
    ),
    lastDane: db.prepare<[string], KnownDaneKind>("SELECT kind FROM dane WHERE domain = ?").pluck(),
    history: db.prepare<[string], HistoryStep>(
      `SELECT record_id AS recordId, first_seen AS firstSeen, outcome
       FROM id_history WHERE domain = ? ORDER BY first_seen`,
    ),
    lastChange: db.prepare<[], number>("SELECT change FROM counter").pluck(),
    changes: db.prepare<
      [{ seen: number; last: number; writer: number; limit: number }],
      { domain: string; change: number }
    >(
      `SELECT domain, change FROM domain WHERE change > :seen AND change <= :last AND writer <> :writer
       UNION ALL
       SELECT domain, change FROM deletion WHERE change > :seen AND change <= :last AND writer <> :writer
       ORDER BY change LIMIT :limit`,
    ),
  };
}
