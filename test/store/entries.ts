/** Rows for the tests of the stores, and folders to keep them in. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry, FetchFailure, Pin } from "../../src/store/store.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** 2026-11-21T22:04:05Z */
export const T0 = Date.UTC(2026, 10, 21, 22, 4, 5);

export function pin(change: Partial<Pin> = {}): Pin {
  const {
    fetchedAt = T0,
    maxAge = 604_800,
    mode = "enforce",
    mx = ["mx1.example.com", "*.example.net"],
  } = change;
  const lines = [
    `version: STSv1`,
    `mode: ${mode}`,
    ...mx.map((pattern) => `mx: ${pattern}`),
    `max_age: ${maxAge}`,
  ];
  return {
    recordId: "20261121",
    text: `${lines.join("\r\n")}\r\n`,
    mode,
    mx,
    maxAge,
    fetchedAt,
    expiresAt: fetchedAt + maxAge * 1000,
    renewAt: fetchedAt + maxAge * 600,
    ...change,
  };
}

export function failure(change: Partial<FetchFailure> = {}): FetchFailure {
  const { failedAt = T0 } = change;
  return {
    recordId: "20261122",
    reason: "status-404",
    detail: "https://mta-sts.example.com/.well-known/mta-sts.txt: 404",
    count: 1,
    failedAt,
    retryAt: failedAt + 5 * MINUTE,
    ...change,
  };
}

/** A row with a pin, checked and used at T0. */
export function entry(domain: string, change: Partial<Entry> = {}): Entry {
  return { domain, pin: pin(), failure: undefined, checkedAt: T0, checkAt: T0 + HOUR, usedAt: T0, ...change };
}

/** A new folder and what removes it. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "stsmapd-store-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
