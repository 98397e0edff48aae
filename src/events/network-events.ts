/** What DNS answers, and what DANE discovery finds. Not logged: the resolution that asked logs what it came to. */
import type { Metrics } from "../metrics/metrics.ts";
import { DnsError } from "../net/dns/resolver.ts";
import type { DnsErrorCode, Resolver } from "../net/dns/resolver.ts";
import type { DaneState } from "../policy/verdict.ts";

/** Failures without any answer between them, from which on the resolver itself is taken to be at fault. */
const FAILING_FROM = 5;

/** These say nothing about the resolver: it answered, or was not asked to the end. */
const NO_FAULT: ReadonlySet<DnsErrorCode> = new Set(["aborted", "bad-name", "cname-loop"]);

/** How the name servers did lately. Times are milliseconds since 1970. */
interface ResolverHealth {
  /** Whether the last few questions were not all in vain; true before the first. */
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
  let failuresInARow = 0;
  let lastAnswerAt: number | undefined;
  let lastFailure: ResolverHealth["lastFailure"];

  const failed = (code: DnsErrorCode) => {
    if (NO_FAULT.has(code)) return;
    failuresInARow++;
    lastFailure = { at: now(), code };
  };
  return {
    get health() {
      return { answering: failuresInARow < FAILING_FROM, lastAnswerAt, lastFailure };
    },
    observe: (resolver) => ({
      async resolve(name, type, signal) {
        try {
          const answer = await resolver.resolve(name, type, signal);
          queries.add({ type, result: answer.records.length > 0 ? "found" : "none" });
          failuresInARow = 0;
          lastAnswerAt = now();
          return answer;
        } catch (error) {
          if (error instanceof DnsError) {
            queries.add({ type, result: error.code });
            failed(error.code);
          }
          throw error;
        }
      },
    }),
  };
}

/** Called with each state that a discovery came to. */
export function daneEvents(metrics: Metrics): (state: DaneState) => void {
  const discoveries = metrics.counter(
    "stsmapd_dane_discoveries_total",
    "DANE states of domains that were found out; one that is remembered is not counted again.",
    ["state"],
  );
  return ({ kind }) => discoveries.add({ state: kind });
}
