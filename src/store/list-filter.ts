/** Which rows a list gives, for stores that look at each. */
import type { Entry, ListFilter } from "./store.ts";

/** Whether `entry` meets all that is set in `filter`. */
export function meets(filter: ListFilter, { pin, failure }: Entry): boolean {
  const { mode, expiresBefore, fetchedBefore, failed } = filter;
  return (
    (mode === undefined || pin?.mode === mode) &&
    (expiresBefore === undefined || (pin !== undefined && pin.expiresAt < expiresBefore)) &&
    (fetchedBefore === undefined || (pin !== undefined && pin.fetchedAt < fetchedBefore)) &&
    (failed === undefined || (failure !== undefined) === failed)
  );
}
