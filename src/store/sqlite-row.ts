/** An Entry as a row of the table `domain`, and back. */
import type { Entry, FetchFailure, Pin } from "./store.ts";

export const PIN_COLUMNS = [
  "record_id",
  "text",
  "mode",
  "mx",
  "max_age",
  "fetched_at",
  "expires_at",
  "renew_at",
] as const;
export const CHECK_COLUMNS = [
  "failed_id",
  "reason",
  "detail",
  "count",
  "failed_at",
  "retry_at",
  "checked_at",
  "check_at",
] as const;
/** All that an Entry holds, in the order of {@link rowOf}. */
export const ENTRY_COLUMNS = ["domain", ...PIN_COLUMNS, ...CHECK_COLUMNS, "used_at"] as const;

type Value = string | number | null;
/** The values of {@link ENTRY_COLUMNS}. */
export type RowValues = readonly Value[];

/** What SELECT gives of {@link ENTRY_COLUMNS}; the CHECKs of the table keep each group null or whole. */
export interface Row {
  domain: string;
  record_id: string | null;
  text: string;
  mode: Pin["mode"];
  mx: string;
  max_age: number;
  fetched_at: number;
  expires_at: number;
  renew_at: number;
  failed_id: string | null;
  reason: string;
  detail: string;
  count: number;
  failed_at: number;
  retry_at: number;
  checked_at: number;
  check_at: number;
  used_at: number;
}

/** The values of `entry` in the order of {@link ENTRY_COLUMNS}; a pin or failure that is missing is a group of nulls. */
export function rowOf({ domain, pin, failure, checkedAt, checkAt, usedAt }: Entry): RowValues {
  return [domain, ...pinValues(pin), ...failureValues(failure), checkedAt, checkAt, usedAt];
}

function pinValues(pin: Pin | undefined): RowValues {
  if (pin === undefined) return PIN_COLUMNS.map(() => null);
  const { recordId, text, mode, mx, maxAge, fetchedAt, expiresAt, renewAt } = pin;
  return [recordId, text, mode, mx.join("\n"), maxAge, fetchedAt, expiresAt, renewAt];
}

function failureValues(failure: FetchFailure | undefined): RowValues {
  if (failure === undefined) return [null, null, null, null, null, null];
  const { recordId, reason, detail, count, failedAt, retryAt } = failure;
  return [recordId, reason, detail, count, failedAt, retryAt];
}

/** What `rowOf` was given. */
export function entryOf(row: Row): Entry {
  return {
    domain: row.domain,
    pin: row.record_id === null ? undefined : pinOf(row, row.record_id),
    failure: row.failed_id === null ? undefined : failureOf(row, row.failed_id),
    checkedAt: row.checked_at,
    checkAt: row.check_at,
    usedAt: row.used_at,
  };
}

function pinOf(row: Row, recordId: string): Pin {
  return {
    recordId,
    text: row.text,
    mode: row.mode,
    mx: row.mx === "" ? [] : row.mx.split("\n"),
    maxAge: row.max_age,
    fetchedAt: row.fetched_at,
    expiresAt: row.expires_at,
    renewAt: row.renew_at,
  };
}

function failureOf(row: Row, recordId: string): FetchFailure {
  return {
    recordId,
    reason: row.reason,
    detail: row.detail,
    count: row.count,
    failedAt: row.failed_at,
    retryAt: row.retry_at,
  };
}
