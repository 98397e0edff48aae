/** What the lookup engine reports: a line of the log, a count, or both. Never a line for a hit in memory. */
import type { Logger } from "../log.ts";
import type { LookupEvents, Resolution, ResolutionOutcome } from "../lookup/events.ts";
import type { MapProfiles } from "../lookup/maps.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { FetchError, FetchFailureReason } from "../net/policy-host/policy-fetcher.ts";
import { heldBackLog } from "./held-back-log.ts";

/** Seconds. */
const FETCH_BOUNDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Milliseconds for which nothing more is said of questions that are turned away: they come by the thousand. */
const TURNED_AWAY_INTERVAL = 60_000;

interface LastFetch {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly result: "fetched" | FetchFailureReason;
}

export interface ObservedLookups extends LookupEvents {
  /** How the last fetch that came to an end ended; undefined before the first. */
  readonly lastFetch: LastFetch | undefined;
}

/**
 * @param now milliseconds since 1970
 * @param maps those in force
 */
export function lookupEvents(
  log: Logger,
  metrics: Metrics,
  now: () => number,
  maps: () => MapProfiles,
): ObservedLookups {
  const resolutions = metrics.counter(
    "stsmapd_resolutions_total",
    "Domains whose record was looked up and, where it was wanted, whose policy was fetched.",
    ["result", "trigger"],
  );
  const fetchSeconds = metrics.histogram(
    "stsmapd_fetch_duration_seconds",
    "Time that a policy fetch took, without the wait for its turn, whether it failed or not.",
    FETCH_BOUNDS,
  );
  const fetchFailures = metrics.counter(
    "stsmapd_fetch_failures_total",
    "Policy fetches that failed, by the class of RFC 8460 and the reason.",
    ["class", "reason"],
  );
  const deadlines = metrics.count(
    "stsmapd_deadlines_passed_total",
    "Lookups that were answered at the deadline, before what they asked for was known.",
  );
  const turnedAway = metrics.count(
    "stsmapd_lookups_turned_away_total",
    "Lookups that were answered before the deadline, and before what they asked for was known, because too many waited.",
  );
  const storeFailures = metrics.counter(
    "stsmapd_store_failures_total",
    "Reads and writes of the cache file that failed; the answers went on from memory.",
    ["operation", "code"],
  );
  const faults = metrics.count(
    "stsmapd_internal_errors_total",
    "Lookups that failed by a fault of stsmapd's own.",
  );
  let lastFetch: LastFetch | undefined;
  let saidTurnedAwayAt = -Infinity;

  const noteFetch = (durationMs: number, result: LastFetch["result"]) => {
    fetchSeconds.observe(durationMs);
    lastFetch = { at: now(), result };
  };
  return {
    get lastFetch() {
      return lastFetch;
    },
    resolved(resolution) {
      const { outcome, trigger } = resolution;
      resolutions.add({ result: resultOf(outcome), trigger });
      if (outcome.kind === "fetched") noteFetch(outcome.trace.durationMs, "fetched");
      if (outcome.kind === "fetch-failure") {
        // One that was turned away at the end of the queue never began.
        if (outcome.error.reason !== "overloaded")
          noteFetch(outcome.error.trace.durationMs, outcome.error.reason);
        fetchFailures.add(failureLabels(outcome.error));
      }
      log[levelOf(resolution)](resolutionFields(resolution), "resolved");
    },
    deadlinePassed(domain) {
      deadlines.count++;
      log.warn({ domain }, "answered at the deadline; a resolution that has begun goes on");
    },
    turnedAway(domain) {
      turnedAway.count++;
      // In either direction: the clock may have been set back.
      if (Math.abs(now() - saidTurnedAwayAt) < TURNED_AWAY_INTERVAL) return;
      saidTurnedAwayAt = now();
      log.warn(
        { domain, total: turnedAway.count },
        "answered at once, as at the deadline: too many questions wait",
      );
    },
    heldBack: heldBackLog(log, maps, now),
    storeFailed(operation, domain, error) {
      storeFailures.add({ operation, code: error.code });
      log.error({ domain, operation, code: error.code, err: error }, "store failed; answering from memory");
    },
    failed(domain, error) {
      faults.count++;
      log.error({ domain, err: error }, "internal error");
    },
  };
}

/** A record that is not valid counts apart from none: somebody meant to have a policy. */
function resultOf(outcome: ResolutionOutcome): string {
  return outcome.kind === "no-record" && outcome.isInvalid ? "invalid-record" : outcome.kind;
}

/** The five hundred codes of HTTP in five: `status-404` is `status-4xx`. */
function failureLabels({ failureClass, reason }: FetchError): { class: string; reason: string } {
  return { class: failureClass, reason: reason.replace(/^(status-\d)\d\d$/, "$1xx") };
}

/** What an administrator may have to act on is a warning; that nothing changed interests nobody, a lost record does. */
function levelOf({ outcome, trigger, pin }: Resolution): "warn" | "info" | "debug" {
  if (outcome.kind === "dns-failure" || outcome.kind === "fetch-failure") return "warn";
  if (outcome.kind === "no-record" && pin !== undefined) return "info";
  return trigger === "recheck" && outcome.kind !== "fetched" ? "debug" : "info";
}

function resolutionFields({ domain, trigger, outcome, pin, durationMs }: Resolution): object {
  return {
    domain,
    result: outcome.kind,
    ...outcomeFields(outcome),
    ...(pin !== undefined && { mode: pin.mode, expires: new Date(pin.expiresAt).toISOString() }),
    trigger,
    duration_ms: Math.round(durationMs),
  };
}

function outcomeFields(outcome: ResolutionOutcome): object {
  switch (outcome.kind) {
    case "fetched":
      return { id: outcome.pin.recordId, address: outcome.trace.address };
    case "current":
    case "back-off":
      return { id: outcome.recordId };
    case "no-record":
      return { reason: outcome.reason };
    case "dns-failure":
      return { reason: outcome.error.message, code: outcome.error.code };
    case "fetch-failure":
      return {
        id: outcome.recordId,
        reason: outcome.error.message,
        code: outcome.error.reason,
        class: outcome.error.failureClass,
      };
  }
}
