/** How many renewals are due, and which of them lapse first. For the writer thread: it reads all that is due of an index. */
import type Database from "better-sqlite3";

import type { Backlog } from "./store.ts";
import { dayOf, prepareUsedDays } from "./used-days.ts";
import type { Requests } from "./writer-protocol.ts";

interface Bounds {
  readonly day: number;
  /** Of this day alone it takes the table to tell who was used in time; of later ones the index says it all. */
  readonly firstDay: number;
  readonly usedSince: number;
  readonly now: number;
  readonly dueAfter: number;
}

type Wanted = Requests["backlog"]["in"];

interface Found {
  readonly id: number;
  readonly next_at: number;
  readonly expires_at: number;
}

const IS_DUE = `used_day = :day AND next_at > :dueAfter AND next_at <= :now AND expires_at > :now
  AND (:day > :firstDay OR used_at >= :usedSince)`;

/** {@link PolicyStore.backlog} of one connection. Throws SQLite's errors. */
export function prepareBacklog(db: Database.Database): (wanted: Wanted) => Backlog {
  const usedDays = prepareUsedDays(db);
  const count = db.prepare<[Bounds], number>(`SELECT count(*) FROM domain WHERE ${IS_DUE}`).pluck();
  const first = db.prepare<[Bounds & { readonly before: number; readonly limit: number }], Found>(
    `SELECT id, next_at, expires_at FROM domain WHERE ${IS_DUE} AND expires_at <= :before
     ORDER BY expires_at, next_at LIMIT :limit`,
  );
  const domainOf = db.prepare<[number], string>("SELECT domain FROM domain WHERE id = ?").pluck();

  return ({ now, usedSince, limit, dueAfter }) => {
    let rows = 0;
    let found: Found[] = [];
    let before = Number.MAX_SAFE_INTEGER;
    for (const day of usedDays(usedSince)) {
      const bounds = { day, firstDay: dayOf(usedSince), usedSince, now, dueAfter };
      rows += count.get(bounds) ?? 0;
      found.push(...first.all({ ...bounds, before, limit }));
      found = found.sort((a, b) => a.expires_at - b.expires_at || a.next_at - b.next_at).slice(0, limit);
      // Once there are enough, a day can only add what lapses no later than the last of them.
      if (found.length === limit) before = found.at(-1)?.expires_at ?? before;
    }
    const firstToLapse = found.flatMap(({ id, next_at: dueAt, expires_at: expiresAt }) => {
      const domain = domainOf.get(id);
      return domain === undefined ? [] : [{ domain, dueAt, expiresAt }];
    });
    return { rows, firstToLapse };
  };
}
