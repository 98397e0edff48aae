/** One resolution: ask for the record, fetch the policy if it is wanted, and say what is to be remembered. */
import { FetchError } from "../net/policy-host/policy-fetcher.ts";
import type { PolicyFetcher } from "../net/policy-host/policy-fetcher.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import type { Entry } from "../store/store.ts";
import { discoverRecord } from "./discovery.ts";
import type { RecordDiscovery } from "./discovery.ts";
import type { ResolutionOutcome } from "./events.ts";
import {
  livePin,
  negativeLifetime,
  newPin,
  nextFailure,
  putOff,
  recordLifetime,
  wantsFetch,
} from "./freshness.ts";
import type { FreshnessOptions } from "./freshness.ts";

export interface ResolutionDeps {
  readonly resolver: Resolver;
  readonly fetcher: PolicyFetcher;
  readonly freshness: FreshnessOptions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

export interface ResolutionResult {
  readonly outcome: ResolutionOutcome;
  /** `known` with what was learnt. A pin in it is never weaker than the one in `known`: only a success replaces it. */
  readonly entry: Entry;
}

/**
 * Resolves `domain` once, given what is known of it (RFC 8461 §3.3, §5.1).
 *
 * @param known the entry so far; an expired pin in it counts as none
 * @param signal ends the work; the outcome is then a dns-failure or fetch-failure with code `aborted`
 */
export async function resolvePolicy(
  domain: string,
  known: Entry | undefined,
  deps: ResolutionDeps,
  signal?: AbortSignal,
): Promise<ResolutionResult> {
  const discovery = await discoverRecord(domain, deps.resolver, signal);
  const checkedAt = deps.now();
  const entry: Entry = {
    domain,
    pin: livePin(known, checkedAt),
    failure: known?.failure,
    checkedAt: discovery.kind === "dns-failure" ? (known?.checkedAt ?? 0) : checkedAt,
    checkAt: checkedAt + answerLifetime(discovery, deps.freshness),
    usedAt: known?.usedAt ?? checkedAt,
  };
  if (discovery.kind === "record") {
    if (wantsFetch(entry, discovery.id, checkedAt)) return fetchPolicy(entry, discovery.id, deps, signal);
    return withoutNeed(entry, discovery.id);
  }
  // RFC 8461 §3.1: without a record the remaining steps are skipped. But a pin about to lapse is renewed even while DNS cannot
  // be asked for the record, so that whoever blocks that one query cannot make it lapse.
  const { pin } = entry;
  if (discovery.kind === "dns-failure" && pin !== undefined && wantsFetch(entry, pin.recordId, checkedAt)) {
    return fetchPolicy(entry, pin.recordId, deps, signal);
  }
  return { outcome: withoutFetch(discovery), entry: putOff(entry) };
}

function withoutFetch(discovery: Exclude<RecordDiscovery, { kind: "record" }>): ResolutionOutcome {
  switch (discovery.kind) {
    case "dns-failure":
      return discovery;
    case "invalid":
      return { kind: "no-record", reason: discovery.reason, isInvalid: true };
    case "none":
      return { kind: "no-record", reason: "no MTA-STS record", isInvalid: false };
  }
}

function withoutNeed(entry: Entry, recordId: string): ResolutionResult {
  if (entry.pin?.recordId !== recordId || entry.failure?.recordId === recordId) {
    return { outcome: { kind: "back-off", recordId }, entry };
  }
  // The owner went back to the id we hold: what failed under the other one no longer matters.
  return { outcome: { kind: "current", recordId }, entry: { ...entry, failure: undefined } };
}

async function fetchPolicy(
  entry: Entry,
  recordId: string,
  deps: ResolutionDeps,
  signal?: AbortSignal,
): Promise<ResolutionResult> {
  try {
    const fetched = await deps.fetcher.fetch(entry.domain, signal);
    const pin = newPin(recordId, fetched, deps.now(), deps.random(), deps.freshness);
    return {
      outcome: { kind: "fetched", pin, trace: fetched.trace },
      entry: { ...entry, pin, failure: undefined },
    };
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    const outcome: ResolutionOutcome = { kind: "fetch-failure", recordId, error };
    const now = deps.now();
    // That we were stopped, had too much to do, or could not, is no fault of the policy host.
    if (error.reason === "aborted") return { outcome, entry };
    if (error.reason === "overloaded" || error.reason === "local-error") {
      return { outcome, entry: putOff({ ...entry, checkAt: now + deps.freshness.dnsFailure }) };
    }
    return {
      outcome,
      entry: { ...entry, failure: nextFailure(entry, recordId, error, now, deps.freshness) },
    };
  }
}

function answerLifetime(discovery: RecordDiscovery, freshness: FreshnessOptions): number {
  switch (discovery.kind) {
    case "record":
      return recordLifetime(discovery.ttl, freshness);
    case "dns-failure":
      return freshness.dnsFailure;
    case "none":
    case "invalid":
      return negativeLifetime(discovery.ttl, freshness);
  }
}
