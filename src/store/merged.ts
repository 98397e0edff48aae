/** What of a row may be overwritten by what is put after it. */
import type { Entry } from "./store.ts";

/** `stored` after a put of `entry`, by the rules of `PolicyStore.put`; `put` of sqlite-statements.ts says the same in SQL. */
export function merged(stored: Entry, entry: Entry): Entry {
  const hasNewerPin = (entry.pin?.fetchedAt ?? -Infinity) >= (stored.pin?.fetchedAt ?? -Infinity);
  const { failure, checkedAt, checkAt } = entry.checkedAt >= stored.checkedAt ? entry : stored;
  const usedAt = Math.max(stored.usedAt, entry.usedAt);
  return {
    domain: entry.domain,
    pin: hasNewerPin ? entry.pin : stored.pin,
    failure,
    checkedAt,
    checkAt,
    usedAt,
  };
}
