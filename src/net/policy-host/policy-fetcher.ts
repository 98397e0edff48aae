/** What a policy fetch is asked, gives, and how it fails. The implementation is in https-policy-fetcher.ts. */
import type { Policy } from "../../policy/policy.ts";

/** What was seen of the policy host, as far as the fetch got, failed or not; `check` and TLSRPT show it. */
export interface FetchTrace {
  readonly url: string;
  /** The address connected to, or of the proxy; undefined before a connection stood. */
  readonly address?: string;
  /** The proxy's origin, without credentials. */
  readonly proxy?: string;
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly tlsVersion?: string;
  readonly certificate?: {
    /** The DNS-IDs of the subject alternative name. */
    readonly names: readonly string[];
    readonly issuer: string;
    /** ISO 8601, UTC. */
    readonly validFrom: string;
    readonly validTo: string;
  };
  readonly status?: number;
  readonly contentType?: string;
  /** The policy host's clock: its `Date` header, as it was sent. */
  readonly date?: string;
  /** Octets of the body read. */
  readonly bytes?: number;
  /** Milliseconds from the start to the end or failure, without the wait for a free slot. */
  readonly durationMs: number;
}

/** The failure classes of RFC 8460 §4.3 that a policy fetch can end in. */
export type FetchFailureClass = "sts-policy-fetch-error" | "sts-webpki-invalid" | "sts-policy-invalid";

export interface FetchedPolicy {
  readonly policy: Policy;
  /** The file as served, without a byte-order mark. */
  readonly text: string;
  readonly trace: FetchTrace;
}

/**
 * No policy came of a fetch. Callers keep what they have, remember the failure and back off (RFC 8461 §3.3).
 */
export class FetchError extends Error {
  override readonly name = "FetchError";
  readonly failureClass: FetchFailureClass;
  /** A short stable word for logs, metrics and TLSRPT: `certificate-expired`, `status-404`, `timeout`, … */
  readonly reason: FetchFailureReason;
  readonly trace: FetchTrace;

  constructor(
    failureClass: FetchFailureClass,
    reason: FetchFailureReason,
    message: string,
    trace: FetchTrace,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.failureClass = failureClass;
    this.reason = reason;
    this.trace = trace;
  }
}

/** Closed, so that it can be a metric label. Any status from 100 to 599 may follow `status-`. */
export type FetchFailureReason =
  | "aborted"
  /** Too many fetches wait for their turn already. As with `aborted`, no fault of the policy host's. */
  | "overloaded"
  /** This machine could not: no descriptor, memory, port or permission, or a fault of our own. No fault of the host's either. */
  | "local-error"
  | "dns-error"
  | "no-address"
  | "address-refused"
  | "connect-failed"
  | "proxy-failed"
  | "timeout"
  | "http-error"
  | `status-${number}`
  | "media-type"
  | "too-large"
  | "tls-error"
  | "tls-version"
  | "certificate-expired"
  | "certificate-not-yet-valid"
  | "certificate-name-mismatch"
  | "certificate-self-signed"
  | "certificate-untrusted"
  | "certificate-invalid"
  | "policy-syntax";

export interface PolicyFetcher {
  /**
   * Fetches the policy of `domain` (A-labels) from `https://mta-sts.<domain>/.well-known/mta-sts.txt`.
   * Throws {@link FetchError} and nothing else.
   */
  fetch(domain: string, signal?: AbortSignal): Promise<FetchedPolicy>;
}
