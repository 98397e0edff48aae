/** What DNS answers, which is counted only, and what DANE discovery finds, which is logged too. */
import { growingCache } from "../lookup/growing-cache.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { DnsError } from "../net/dns/resolver.ts";
import type { DnsErrorCode, Resolver } from "../net/dns/resolver.ts";
import type { DaneState, KnownDaneKind } from "../policy/verdict.ts";

/**
 * Domains that failed without any answer between them, from which on the resolver itself is taken to be at fault. One
 * domain whose name servers are dead fails as often as it is asked for, with SERVFAIL as with time-outs.
 */
const FAILING_FROM = 5;

/** These say nothing about the resolver: it answered, or was not asked to the end. */
const NO_FAULT: ReadonlySet<DnsErrorCode> = new Set(["aborted", "bad-name", "cname-loop"]);

/** How the name servers did lately. Times are milliseconds since 1970. */
interface ResolverHealth {
  /** Whether the questions about the last few domains were not all in vain; true before the first. */
  readonly answering: boolean;
  readonly lastAnswerAt: number | undefined;
  readonly lastFailure: { readonly at: number; readonly code: DnsErrorCode } | undefined;
}

export interface DnsWatch {
  readonly health: ResolverHealth;
  /** The resolver, with its answers counted. */
  observe(resolver: Resolver): Resolver;
}

/** @param now milliseconds since 1970 */
export function watchDns(metrics: Metrics, now: () => number): DnsWatch {
  const queries = metrics.counter(
    "stsmapd_dns_queries_total",
    "Questions to DNS, by record type and result; one that was repeated or followed aliases counts once.",
    ["type", "result"],
  );
  const failing = new Set<string>();
  let lastAnswerAt: number | undefined;
  let lastFailure: ResolverHealth["lastFailure"];

  const failed = (name: string, code: DnsErrorCode) => {
    if (NO_FAULT.has(code)) return;
    if (failing.size < FAILING_FROM) failing.add(zoneOf(name));
    lastFailure = { at: now(), code };
  };
  return {
    get health() {
      return { answering: failing.size < FAILING_FROM, lastAnswerAt, lastFailure };
    },
    observe: (resolver) => ({
      async resolve(name, type, signal) {
        try {
          const answer = await resolver.resolve(name, type, signal);
          queries.add({ type, result: answer.records.length > 0 ? "found" : "none" });
          failing.clear();
          lastAnswerAt = now();
          return answer;
        } catch (error) {
          if (error instanceof DnsError) {
            queries.add({ type, result: error.code });
            failed(name, error.code);
          }
          throw error;
        }
      },
    }),
  };
}

/** Where names share the last two labels, so most likely do they their name servers. */
function zoneOf(name: string): string {
  return name.split(".").slice(-2).join(".");
}

/** Domains whose state is remembered here, so that a line is an info line only when it says something new. */
const SEEN_DOMAINS = 20_000;

/** Called with what each discovery came to, and with what was last known of the domain before it. */
export type DaneEvents = (domain: string, found: FoundDane, before: KnownDaneKind | undefined) => void;

export interface FoundDane {
  readonly state: DaneState;
  /** DNS was not asked, for DANE is switched off or the resolver not trusted. */
  readonly isUnasked?: boolean;
}

/** Counts each discovery. A state that is another than the one before is logged at info, one that stays at debug. */
export function daneEvents(log: Logger, metrics: Metrics): DaneEvents {
  const discoveries = metrics.counter(
    "stsmapd_dane_discoveries_total",
    "DANE states of domains that were found out; one that is remembered is not counted again.",
    ["state"],
  );
  // What was last known is never "unknown", so it cannot tell that a failure begins, lasts or ends.
  const seen = growingCache<DaneState["kind"]>(SEEN_DOMAINS);
  return (domain, { state, isUnasked = false }, before) => {
    discoveries.add({ state: state.kind });
    const previous = seen.get(domain) ?? before;
    seen.set(domain, state.kind);
    const reason = state.kind === "unknown" ? { reason: state.reason, last_known: before } : {};
    // A domain of which nothing was known is taken to have none: most have none, and that explains no answer.
    const level = state.kind === (previous ?? "none") ? "debug" : "info";
    const message = isUnasked ? "DANE is not looked for" : "DANE state found out";
    log[level]({ domain, state: state.kind, ...reason, previous }, message);
  };
}
