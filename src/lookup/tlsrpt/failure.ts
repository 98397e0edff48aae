/** Which failures a domain's owner is told of by TLSRPT, and what of them. */
import type { FetchError, FetchFailureReason } from "../../net/policy-host/policy-fetcher.ts";
import { DnsError } from "../../net/dns/resolver.ts";
import type { PolicyFailure } from "../../net/tlsrpt/datagram.ts";
import { recordName } from "../../policy/record.ts";
import type { ResolutionOutcome } from "../events.ts";

/**
 * Undefined where there is nothing to report: no attempt was made, it succeeded, or it is no fault of the owner's. A record
 * that is not valid is reported like a policy that is not: its owner meant to have one (RFC 8460 §4.3.2.2 has no other type).
 */
export function reportableFailure(domain: string, outcome: ResolutionOutcome): PolicyFailure | undefined {
  if (outcome.kind === "fetch-failure") return reportableFetchFailure(domain, outcome.error);
  if (outcome.kind === "no-record" && outcome.isInvalid) return invalidRecord(domain, outcome.reason);
  return undefined;
}

const OUR_FAULTS: ReadonlySet<FetchFailureReason> = new Set<FetchFailureReason>([
  "aborted",
  "overloaded",
  "local-error",
  "proxy-failed",
]);

/** Undefined where we gave up ourselves, had too much to do, or our own machine or proxy failed. */
export function reportableFetchFailure(domain: string, error: FetchError): PolicyFailure | undefined {
  const { failureClass, reason } = error;
  if (OUR_FAULTS.has(reason)) return undefined;
  return { failureClass, reason, information: informationOf(domain, error) };
}

export function invalidRecord(domain: string, fault: string): PolicyFailure {
  return {
    failureClass: "sts-policy-invalid",
    reason: "record-invalid",
    information: `TXT record ${recordName(domain)}: ${fault}`,
  };
}

/** The message, but for the addresses of our name servers and of our proxy, which concern nobody outside. */
function informationOf(domain: string, { message, cause, trace }: FetchError): string {
  if (cause instanceof DnsError) {
    return `policy host mta-sts.${domain}: addresses cannot be looked up (${cause.code})`;
  }
  return trace.proxy === undefined ? message : message.replaceAll(` through ${trace.proxy}`, "");
}
