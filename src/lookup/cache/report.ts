/** Puts together what `cache show` tells of a domain. */
import type { Override } from "../../policy/override.ts";
import type { KnownDaneKind } from "../../policy/verdict.ts";
import { dueAt } from "../../store/store.ts";
import type { Entry, HistoryStep } from "../../store/store.ts";
import type { CacheAnswer, CacheReport, DaneReport, NextAction } from "./cache-admin.ts";
import { isoTime, toRecord } from "./record.ts";
import type { KnownDane } from "../dane/dane-source.ts";
import type { DomainState } from "../domain-state.ts";
import { nextActionAt } from "../freshness.ts";

export interface ReportSources {
  /** Undefined: nothing is known. */
  readonly state: DomainState | undefined;
  /** Whether the daemon's memory holds it; undefined where there is no daemon. */
  readonly isHeld: boolean | undefined;
  readonly history: readonly HistoryStep[];
  readonly lastDane: KnownDaneKind | undefined;
  /** What memory holds of the DANE state. */
  readonly heldDane: KnownDane | undefined;
  readonly override: Override | undefined;
  readonly answers: readonly CacheAnswer[];
}

/**
 * The report on `domain`: what is known of it, what happens next, and what each map is answered.
 *
 * @param now milliseconds since 1970
 */
export function cacheReport(domain: string, sources: ReportSources, now: number): CacheReport {
  const { state, isHeld, history, lastDane, heldDane, override, answers } = sources;
  return {
    at: isoTime(now),
    domain,
    state: stateOf(state, now),
    record: state === undefined ? null : toRecord(state.entry),
    in_memory: isHeld ?? null,
    dns_failure: state?.unknownBecause ?? null,
    history: history.map(({ recordId, firstSeen, outcome }) => ({
      id: recordId,
      first_seen: isoTime(firstSeen),
      outcome,
    })),
    next: state === undefined ? null : nextOf(state.entry),
    dane: { last_known: lastDane ?? null, held: heldDane === undefined ? null : daneOf(heldDane) },
    override: override === undefined ? null : overrideOf(override),
    answers,
  };
}

function stateOf(state: DomainState | undefined, now: number): CacheReport["state"] {
  if (state === undefined) return "unknown";
  if (state.isPinned(now)) return "pinned";
  if (state.unknownBecause !== undefined) return "unreachable";
  if (state.hasPin) return "expired";
  return state.entry.failure === undefined ? "absent" : "failing";
}

function nextOf(entry: Entry): CacheReport["next"] {
  const at = nextActionAt(entry);
  return { at: isoTime(at), action: actionAt(entry, at) };
}

function actionAt(entry: Entry, at: number): NextAction {
  const { pin, failure, checkAt } = entry;
  if (at === checkAt) return "check";
  if (pin !== undefined && at === pin.expiresAt && at !== dueAt(entry)) return "expire";
  return failure?.retryAt === at ? "retry" : "renew";
}

function daneOf({ state, until }: KnownDane): DaneReport["held"] {
  const reason = state.kind === "unknown" ? state.reason : null;
  return { state: state.kind, reason, until: isoTime(until) };
}

function overrideOf({ domain, action, until, comment }: Override): CacheReport["override"] {
  return {
    domain,
    action: action.kind,
    until: until === undefined ? null : isoTime(until),
    comment: comment ?? null,
  };
}
