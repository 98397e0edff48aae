/** The tables, and the way there from every earlier version. */
import type Database from "better-sqlite3";
import { StoreError } from "./store.ts";

/** `PRAGMA application_id` of our files ("STSm"), so that no other program's database is ever taken for ours. */
export const APPLICATION_ID = 0x5354536d;

/**
 * Step i leads from `user_version` i to i + 1. A step that was released is never changed: add one, and a fixture of the
 * version before it to test/store/fixtures.
 */
export const MIGRATIONS: readonly string[] = [
  // next_at and spent_at are dueAt() and spentAt() of store.ts. used_day lets `due` skip rows that nobody uses: it seeks
  // in each day that counts, and a touch moves a row in that index once a day at most.
  `
  CREATE TABLE domain (
    id INTEGER PRIMARY KEY,
    domain TEXT NOT NULL UNIQUE CHECK (domain <> ''),
    record_id TEXT,
    text TEXT,
    mode TEXT CHECK (mode IN ('enforce', 'testing', 'none')),
    mx TEXT,
    max_age INTEGER,
    fetched_at INTEGER,
    expires_at INTEGER,
    renew_at INTEGER,
    failed_id TEXT,
    reason TEXT,
    detail TEXT,
    count INTEGER,
    failed_at INTEGER,
    retry_at INTEGER,
    checked_at INTEGER NOT NULL,
    check_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    change INTEGER NOT NULL,
    writer INTEGER NOT NULL,
    used_day INTEGER NOT NULL AS (used_at / 86400000),
    next_at INTEGER AS (iif(record_id IS NULL, NULL, CASE
      WHEN failed_id IS NULL THEN renew_at
      WHEN failed_id = record_id THEN max(renew_at, retry_at)
      ELSE retry_at
    END)),
    spent_at INTEGER NOT NULL AS (coalesce(expires_at, max(check_at, coalesce(retry_at, 0)))),
    CHECK (iif(record_id IS NULL,
      coalesce(text, mode, mx, max_age, fetched_at, expires_at, renew_at) IS NULL,
      text IS NOT NULL AND mode IS NOT NULL AND mx IS NOT NULL AND max_age IS NOT NULL
        AND fetched_at IS NOT NULL AND expires_at IS NOT NULL AND renew_at IS NOT NULL)),
    CHECK (iif(failed_id IS NULL,
      coalesce(reason, detail, count, failed_at, retry_at) IS NULL,
      reason IS NOT NULL AND detail IS NOT NULL AND count IS NOT NULL
        AND failed_at IS NOT NULL AND retry_at IS NOT NULL))
  ) STRICT;
  CREATE INDEX domain_due ON domain (used_day, next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX domain_spent ON domain (spent_at);
  CREATE INDEX domain_change ON domain (change, writer);
  CREATE INDEX domain_mode ON domain (mode, expires_at, checked_at);

  CREATE TABLE id_history (
    id INTEGER PRIMARY KEY,
    domain TEXT NOT NULL CHECK (domain <> ''),
    first_seen INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    outcome TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX id_history_domain ON id_history (domain, first_seen);

  -- Deletions that other processes have yet to notice; their rows are gone, so their changes stand here.
  CREATE TABLE deletion (
    change INTEGER NOT NULL,
    writer INTEGER NOT NULL,
    domain TEXT NOT NULL,
    PRIMARY KEY (change, domain)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE counter (
    -- The last transaction's number, and the last writer's. Both only grow.
    change INTEGER NOT NULL,
    writer INTEGER NOT NULL
  ) STRICT;
  INSERT INTO counter VALUES (0, 0);
  `,
  // With expires_at in the index, what expired and waits to be deleted is passed over without reading its rows.
  `
  DROP INDEX domain_due;
  CREATE INDEX domain_due ON domain (used_day, next_at, expires_at) WHERE next_at IS NOT NULL;
  `,
  // Apart from the policies, whose rows it must never change; gone with them.
  `
  CREATE TABLE dane (
    domain TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('none', 'some', 'all', 'insecure-mx'))
  ) STRICT, WITHOUT ROWID;
  CREATE TRIGGER dane_gone AFTER DELETE ON domain BEGIN
    DELETE FROM dane WHERE domain = OLD.domain;
  END;
  `,
];

/**
 * Brings the tables of `db` to the newest version, in one transaction; several processes may try at once.
 * Throws {@link StoreError} `incompatible`, with nothing written, where the file is a newer version's or not ours.
 */
export function migrate(db: Database.Database): void {
  if (isNewest(db)) return;
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(version(db))) db.exec(step);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${MIGRATIONS.length}`);
  }).immediate();
}

/** Whether the tables of `db` are of the newest version. Throws {@link StoreError} as {@link migrate} does. */
export function isNewest(db: Database.Database): boolean {
  return db.transaction(version).deferred(db) === MIGRATIONS.length;
}

/** The file's version, 0 for one with nothing in it. Called in a transaction, so that the reads agree. */
function version(db: Database.Database): number {
  const found = Number(db.pragma("user_version", { simple: true }));
  const owner = Number(db.pragma("application_id", { simple: true }));
  const tables = Number(db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get());
  if (owner !== APPLICATION_ID && (tables > 0 || owner !== 0 || found !== 0)) {
    throw new StoreError("incompatible", `${db.name} is another program's database: name another file`);
  }
  if (found > MIGRATIONS.length) {
    throw new StoreError(
      "incompatible",
      `${db.name} was written by a newer stsmapd (version ${found} of the tables, this one knows ${MIGRATIONS.length}): ` +
        `install that one again, for good or to run "stsmapd cache export"; or move ${db.name}* away, and begin with nothing`,
    );
  }
  return found;
}
