/** The days by which the index domain_due is sorted first: rows that nobody uses any more are never looked at. */
import type Database from "better-sqlite3";

const DAY_MS = 86_400_000;

/** The value of the column used_day for a row used at `moment`, milliseconds since 1970. */
export function dayOf(moment: number): number {
  return Math.floor(moment / DAY_MS);
}

/** What gives the days on which any pinned row was last used, from that of `usedSince` on: one seek for each. */
export function prepareUsedDays(db: Database.Database): (usedSince: number) => Generator<number> {
  const dayFrom = db
    .prepare<[number], number>(
      "SELECT used_day FROM domain WHERE used_day >= ? AND next_at IS NOT NULL ORDER BY used_day LIMIT 1",
    )
    .pluck();
  return function* usedDays(usedSince) {
    let day = dayFrom.get(dayOf(usedSince));
    while (day !== undefined) {
      yield day;
      day = dayFrom.get(day + 1);
    }
  };
}
