/** Which rows a list gives. */
import type { PolicyMode } from "../policy/policy.ts";
import type { Entry } from "./store.ts";

/** Rows that meet all that is set. Times are milliseconds since 1970. */
export interface ListFilter {
  readonly mode?: PolicyMode;
  /** The pin ends before this moment. */
  readonly expiresBefore?: number;
  /** The pin was fetched before this moment. */
  readonly fetchedBefore?: number;
  /** True: the last fetch failed. False: it did not. */
  readonly failed?: boolean;
}

export function passes(filter: ListFilter, { pin, failure }: Entry): boolean {
  const { mode, expiresBefore, fetchedBefore, failed } = filter;
  return (
    (mode === undefined || pin?.mode === mode) &&
    (expiresBefore === undefined || (pin !== undefined && pin.expiresAt < expiresBefore)) &&
    (fetchedBefore === undefined || (pin !== undefined && pin.fetchedAt < fetchedBefore)) &&
    (failed === undefined || (failure !== undefined) === failed)
  );
}
