/** Everything that changes rows, with the rules of what may overwrite what. For the writer thread. */
import type Database from "better-sqlite3";
import type { PolicyMode } from "../policy/policy.ts";
import type { KnownDaneKind } from "../policy/verdict.ts";
import { CLOCK_TOLERANCE, rebased } from "./rebase.ts";
import {
  CHECK_COLUMNS,
  ENTRY_COLUMNS,
  PIN_COLUMNS,
  entryOf,
  type Row,
  rowOf,
  type RowValues,
} from "./sqlite-row.ts";
import { HISTORY_LENGTH, type StoreCounts } from "./store.ts";
import type { Touch, Write } from "./writer-protocol.ts";

const WEEK_MS = 7 * 86_400_000;
/** Deletions told to other processes; one that missed more keeps what it has in memory until that expires. */
const DELETIONS_KEPT = 1000;

interface ModeCount {
  mode: PolicyMode | null;
  number: number;
  soon: number;
  oldest: number;
}

/** One of the steps that `PolicyStore.history` gives, as it comes from a row. */
interface Step {
  readonly domain: RowValues[number] | undefined;
  readonly at: RowValues[number] | undefined;
  readonly recordId: RowValues[number] | undefined;
  readonly outcome: RowValues[number] | undefined;
}

/** The writer's statements, prepared for one connection. Throws SQLite's errors; the caller opens the transactions. */
export class SqliteStatements {
  readonly #all;

  constructor(db: Database.Database) {
    this.#all = prepareAll(db);
  }

  /** A number for a new writer of this file, different from all before. */
  nextWriter(): number {
    return this.#all.nextWriter.get() ?? 0;
  }

  /** The number of the transaction that calls it. */
  nextChange(): number {
    return this.#all.nextChange.get() ?? 0;
  }

  put({ row, dane }: Extract<Write, { kind: "put" }>, change: number, writer: number): void {
    this.#all.put.run(...row, change, writer);
    const [domain, recordId, , mode, , , fetchedAt] = row;
    const [failedId, reason, , , failedAt] = row.slice(1 + PIN_COLUMNS.length);
    const steps = [
      { domain, at: fetchedAt, recordId, outcome: mode },
      { domain, at: failedAt, recordId: failedId, outcome: reason },
    ];
    steps.sort((a, b) => Number(a.at) - Number(b.at));
    for (const step of steps) if (step.at !== null) this.#addStep(step);
    if (dane !== undefined) this.#all.fillDane.run({ domain, kind: dane });
  }

  /** A step is one that is later than the last and says something else. */
  #addStep(step: Step): void {
    const { domain, at, recordId, outcome } = step;
    const last = this.#all.lastStep.get({ domain });
    const isKnown = last?.record_id === recordId && last?.outcome === outcome;
    if (isKnown || (last !== undefined && last.first_seen >= Number(at))) return;
    this.#all.addStep.run(step);
    if (last !== undefined) this.#all.trimSteps.run({ domain });
  }

  /** False where there is no row, or nothing new: nothing is written. */
  noteDane(domain: string, kind: KnownDaneKind): boolean {
    return this.#all.noteDane.run({ domain, kind }).changes > 0;
  }

  delete(domain: string, change: number, writer: number): void {
    if (this.#all.delete.run(domain).changes === 0) return;
    this.#all.deleteSteps.run(domain);
    this.#all.addDeletion.run(change, writer, domain);
    this.#all.trimDeletions.run();
  }

  /** False where `used_at` would move by less than `step` milliseconds, or there is no row: nothing is written. */
  touch([domain, usedAt]: Touch, step: number): boolean {
    return this.#all.touch.run({ domain, usedAt, before: usedAt - step }).changes > 0;
  }

  deleteExpired(now: number, unusedSince: number, limit: number): number {
    const domains = this.#all.deleteExpired.all({ now, unusedSince, limit });
    for (const domain of domains) this.#all.deleteSteps.run(domain);
    return domains.length;
  }

  /** Looks at `limit` rows from id `after` on; `last` is the id of the last of them, undefined where none is left. */
  rebase(now: number, after: number, limit: number): { moved: number; last: number | undefined } {
    const last = this.#all.lastOfIds.get({ after, limit });
    const ahead =
      last === undefined ? [] : this.#all.ahead.all({ after, last, until: now + CLOCK_TOLERANCE });
    // Writer -1 is nobody: every process takes the rows for another's, and reads them again.
    const change = ahead.length > 0 ? this.nextChange() : 0;
    for (const row of ahead) {
      const [domain, ...values] = rowOf(rebased(entryOf(row), now));
      this.#all.overwrite.run(...values, change, -1, domain);
      this.#all.moveSteps.run({ domain, now });
    }
    return { moved: ahead.length, last };
  }

  counts(now: number): StoreCounts {
    const entries = { enforce: 0, testing: 0, none: 0, unpinned: 0 };
    const until = now + WEEK_MS;
    const since = now - WEEK_MS;
    let expiringSoon = 0;
    let oldestCheck: number | undefined;
    for (const { mode, number, soon, oldest } of this.#all.modes.all({ now, until })) {
      entries[mode ?? "unpinned"] = number;
      if (mode === null) continue;
      expiringSoon += soon;
      oldestCheck = Math.min(oldest, oldestCheck ?? oldest);
    }
    return { entries, expiringSoon, lapsing: this.#all.lapsing.get({ now, until, since }) ?? 0, oldestCheck };
  }
}

/** SET `column` to the new value where `condition` holds. */
function updateIf(condition: string, column: string): string {
  return `${column} = iif(${condition}, excluded.${column}, domain.${column})`;
}

function prepareAll(db: Database.Database) {
  // An older fetch never overwrites a newer one, and no fetch is older than any.
  const newerPin = "excluded.fetched_at >= coalesce(domain.fetched_at, excluded.fetched_at)";
  const newerCheck = "excluded.checked_at >= domain.checked_at";
  const updates = [
    ...PIN_COLUMNS.map((column) => updateIf(newerPin, column)),
    ...CHECK_COLUMNS.map((column) => updateIf(newerCheck, column)),
  ];
  const columns = [...ENTRY_COLUMNS, "change", "writer"];

  return {
    nextWriter: db.prepare<[], number>("UPDATE counter SET writer = writer + 1 RETURNING writer").pluck(),
    nextChange: db.prepare<[], number>("UPDATE counter SET change = change + 1 RETURNING change").pluck(),
    put: db.prepare(
      `INSERT INTO domain (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
       ON CONFLICT (domain) DO UPDATE SET
         ${updates.join(", ")},
         used_at = max(domain.used_at, excluded.used_at), change = excluded.change, writer = excluded.writer`,
    ),
    lastStep: db.prepare<[Pick<Step, "domain">], { first_seen: number; record_id: string; outcome: string }>(
      `SELECT first_seen, record_id, outcome FROM id_history WHERE domain = :domain
       ORDER BY first_seen DESC LIMIT 1`,
    ),
    addStep: db.prepare<[Step]>(
      "INSERT INTO id_history (domain, first_seen, record_id, outcome) VALUES (:domain, :at, :recordId, :outcome)",
    ),
    trimSteps: db.prepare(
      `DELETE FROM id_history WHERE domain = :domain AND first_seen <= (
         SELECT first_seen FROM id_history WHERE domain = :domain
         ORDER BY first_seen DESC LIMIT 1 OFFSET ${HISTORY_LENGTH})`,
    ),
    fillDane: db.prepare("INSERT INTO dane (domain, kind) VALUES (:domain, :kind) ON CONFLICT DO NOTHING"),
    noteDane: db.prepare(
      `INSERT INTO dane (domain, kind) SELECT :domain, :kind FROM domain WHERE domain = :domain
       ON CONFLICT (domain) DO UPDATE SET kind = excluded.kind WHERE kind <> excluded.kind`,
    ),
    deleteSteps: db.prepare("DELETE FROM id_history WHERE domain = ?"),
    delete: db.prepare("DELETE FROM domain WHERE domain = ?"),
    addDeletion: db.prepare("INSERT OR IGNORE INTO deletion VALUES (?, ?, ?)"),
    trimDeletions: db.prepare(
      `DELETE FROM deletion WHERE change < (
         SELECT change FROM deletion ORDER BY change DESC LIMIT 1 OFFSET ${DELETIONS_KEPT})`,
    ),
    touch: db.prepare("UPDATE domain SET used_at = :usedAt WHERE domain = :domain AND used_at <= :before"),
    deleteExpired: db
      .prepare<[{ now: number; unusedSince: number; limit: number }], string>(
        `DELETE FROM domain WHERE id IN (
           SELECT id FROM domain WHERE spent_at <= :now
             AND (used_at < :unusedSince OR (record_id IS NULL AND failed_id IS NULL))
           ORDER BY spent_at LIMIT :limit)
         RETURNING domain`,
      )
      .pluck(),
    lastOfIds: db
      .prepare<[{ after: number; limit: number }], number>(
        "SELECT max(id) FROM (SELECT id FROM domain WHERE id > :after ORDER BY id LIMIT :limit) HAVING max(id) IS NOT NULL",
      )
      .pluck(),
    ahead: db.prepare<[{ after: number; last: number; until: number }], Row>(
      `SELECT ${ENTRY_COLUMNS.join(", ")} FROM domain WHERE id > :after AND id <= :last
         AND max(coalesce(fetched_at, 0), coalesce(failed_at, 0), checked_at, used_at) > :until`,
    ),
    overwrite: db.prepare(
      `UPDATE domain SET ${columns
        .slice(1)
        .map((column) => `${column} = ?`)
        .join(", ")} WHERE domain = ?`,
    ),
    moveSteps: db.prepare(
      `UPDATE OR REPLACE id_history
       SET first_seen = first_seen - (SELECT max(first_seen) - :now FROM id_history WHERE domain = :domain)
       WHERE domain = :domain AND first_seen > :now`,
    ),
    modes: db.prepare<[{ now: number; until: number }], ModeCount>(
      `SELECT mode, count(*) AS number, min(checked_at) AS oldest,
         count(*) FILTER (WHERE expires_at > :now AND expires_at <= :until) AS soon
       FROM domain GROUP BY mode`,
    ),
    // Of its own: the query above reads nothing but an index.
    lapsing: db
      .prepare<[{ now: number; until: number; since: number }], number>(
        `SELECT count(*) FROM domain
         WHERE mode IN ('enforce', 'testing') AND expires_at > :now AND expires_at <= :until
           AND failed_id IS NOT NULL AND used_at > :since`,
      )
      .pluck(),
  };
}
