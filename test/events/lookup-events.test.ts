/** How loud the log is about a resolution, and what counts as a fetch. */
import { describe, expect, it } from "vitest";
import { lookupEvents } from "../../src/events/lookup-events.ts";
import type { ResolutionOutcome, ResolutionTrigger } from "../../src/lookup/events.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { FetchError, type FetchFailureReason } from "../../src/net/policy-host/policy-fetcher.ts";
import type { Pin } from "../../src/store/store.ts";
import { startLog } from "../helpers/log-lines.ts";
import { T0, entry, pin } from "../store/entries.ts";

const D = "d.example";
const current: ResolutionOutcome = { kind: "current", recordId: "1" };
const noRecord: ResolutionOutcome = { kind: "no-record", reason: "no TXT record", isInvalid: false };

describe("a resolution", () => {
  it.each<[ResolutionTrigger, ResolutionOutcome, Pin | undefined, string]>([
    ["query", noRecord, undefined, "info"],
    ["recheck", noRecord, undefined, "debug"], // as before
    ["recheck", noRecord, pin(), "info"], // a record that vanished under a policy that is held
    ["recheck", current, pin(), "debug"],
    ["command", current, pin(), "info"],
  ])("by %s that comes to %j", (trigger, outcome, held, level) => {
    const { log, lines } = startLog();
    const events = lookupEvents(
      log,
      new Metrics(),
      () => T0,
      () => new Map(),
    );
    events.resolved({
      domain: D,
      trigger,
      outcome,
      entry: entry(D, { pin: held }),
      pin: held,
      durationMs: 1,
    });
    expect(lines).toMatchObject([{ level, domain: D, result: outcome.kind, trigger, msg: "resolved" }]);
  });
});

it.each<[FetchFailureReason, number]>([
  ["timeout", 1],
  ["overloaded", 0], // turned away at the end of the queue: there was no fetch that took no time
])("a fetch that failed with %s is timed %d times, and counted", (reason, times) => {
  const metrics = new Metrics();
  const events = lookupEvents(
    startLog().log,
    metrics,
    () => T0,
    () => new Map(),
  );
  const error = new FetchError("sts-policy-fetch-error", reason, "no", { url: "", durationMs: 5 });
  const outcome = { kind: "fetch-failure", recordId: "1", error } as const;
  events.resolved({ domain: D, trigger: "query", outcome, entry: entry(D), pin: undefined, durationMs: 5 });
  const [fetches] = metrics.histograms;
  expect(fetches?.counts.reduce((sum, count) => sum + count, 0)).toBe(times);
  expect(events.lastFetch?.result).toBe(times === 1 ? reason : undefined);
  expect(metrics.totals()).toMatchObject({ stsmapd_fetch_failures_total: 1 });
});

it("questions that are turned away are counted each, and told of once a minute", () => {
  const { log, lines } = startLog();
  const metrics = new Metrics();
  let now = T0;
  const events = lookupEvents(
    log,
    metrics,
    () => now,
    () => new Map(),
  );
  for (let minute = 0; minute < 2; minute++) {
    for (let count = 0; count < 1_000; count++) events.turnedAway(D);
    now += 60_000;
  }
  expect(lines).toMatchObject([
    { level: "warn", domain: D, total: 1 },
    { level: "warn", domain: D, total: 1_001 },
  ]);
  expect(metrics.totals()).toMatchObject({ stsmapd_lookups_turned_away_total: 2_000 });
});
