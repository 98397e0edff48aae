/** Fetches policies over HTTPS (RFC 8461 §3.2, §3.3), directly or through a proxy. */
import { parsePolicy, type ParsedPolicy, PolicyError } from "../../policy/policy.ts";
import { AddressGuard } from "./address-guard.ts";
import { networksOf } from "./address-network.ts";
import { Deadline } from "./deadline.ts";
import { errorText, failureClassOf, FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import { FetchQueue } from "./fetch-queue.ts";
import type { PolicyClient, Route } from "./policy-client.ts";
import { FetchError, type FetchedPolicy, type PolicyFetcher } from "./policy-fetcher.ts";
import { policyHostAddresses } from "./addresses.ts";
import type { ProxySelector } from "./proxy.ts";
import type { Resolver } from "../dns/resolver.ts";

const PATH = "/.well-known/mta-sts.txt";

export interface HttpsPolicyFetcherOptions {
  readonly resolver: Resolver;
  /** Names the product and where to read about it. */
  readonly userAgent: string;
  /** Milliseconds for DNS, connection, TLS, header and body together. */
  readonly timeoutMs: number;
  /**
   * Milliseconds of these for connection and TLS, so that a host that swallows all packets soon gives its slot back; and for all
   * together while others wait for that slot, so that hosts that drip cannot keep them all.
   */
  readonly connectTimeoutMs: number;
  /** Octets a policy file may have. */
  readonly maxBytes: number;
  /** Fetches at once. */
  readonly concurrency: number;
  /** Fetches at once from one IPv4 address or IPv6 /64. Through a proxy no address is known, and only `concurrency` counts. */
  readonly perAddress: number;
  /** Which proxy for which host; see `proxySelector`. */
  readonly proxyFor: ProxySelector;
  /** Ranges a policy host may be in although they are not globally routable. */
  readonly allowAddresses: readonly string[];
  /** PEM certificates trusted besides the system's; see `readRootsFile`. */
  readonly extraRoots: readonly string[];
  /** Of the policy hosts; RFC 8461 knows only 443. */
  readonly port: number;
  /** Milliseconds on a clock that never steps back. */
  readonly now: () => number;
}

/**
 * The {@link PolicyFetcher} of the daemon. The wait for a slot does not count towards the deadline, but the caller's signal
 * ends it. Each fetch has a connection of its own, closed before `fetch` settles.
 */
export class HttpsPolicyFetcher implements PolicyFetcher {
  readonly #options: HttpsPolicyFetcherOptions;
  readonly #guard: AddressGuard;
  readonly #queue: FetchQueue;
  #client: Promise<PolicyClient> | undefined;

  /** Throws AddressGuardError for a bad range in `allowAddresses`. */
  constructor(options: HttpsPolicyFetcherOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options.allowAddresses);
    const { concurrency, perAddress, connectTimeoutMs: fairMs } = options;
    this.#queue = new FetchQueue({ concurrency, perAddress, fairMs });
  }

  /** Fetches under way, from the connection on. */
  get running(): number {
    return this.#queue.running;
  }

  /** Fetches that wait for their turn. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  async fetch(domain: string, signal?: AbortSignal): Promise<FetchedPolicy> {
    const { port, timeoutMs, connectTimeoutMs, now } = this.#options;
    const host = `mta-sts.${domain}`;
    const authority = port === 443 ? host : `${host}:${port}`;
    const trace: FetchTraceDraft = { url: `https://${authority}${PATH}` };
    const deadline = new Deadline(timeoutMs, now, signal);
    try {
      const route = await this.#route(host, trace, deadline);
      deadline.pause();
      const giveWay = () => deadline.giveWay(connectTimeoutMs);
      const release = await this.#queue.acquire(networksOf(route.addresses), deadline.signal, giveWay);
      deadline.resume();
      try {
        const client = await this.#loadClient();
        const body = await client.get(host, { authority, path: PATH, ...route }, trace, deadline);
        return { ...parse(body), trace: { ...trace, durationMs: deadline.spentMs } };
      } finally {
        release();
      }
    } catch (error) {
      throw fetchError(host, error, trace, deadline);
    } finally {
      deadline.stop();
    }
  }

  async #route(host: string, trace: FetchTraceDraft, deadline: Deadline): Promise<Route> {
    const { resolver, proxyFor, port } = this.#options;
    const proxy = proxyFor(host, port);
    if (proxy !== undefined) {
      trace.proxy = proxy.origin;
      return { proxy, addresses: [] };
    }
    deadline.step = "looking up its addresses";
    return { addresses: await policyHostAddresses(host, resolver, this.#guard, deadline.signal) };
  }

  /**
   * Loads what speaks TLS and HTTP, which start-up does not wait for: it doubles its time. Best done soon after, for an upgrade
   * takes the files of a running daemon away. Rejects where they cannot be read.
   */
  async prepare(): Promise<void> {
    await this.#loadClient();
  }

  #loadClient(): Promise<PolicyClient> {
    this.#client ??= this.#importClient();
    return this.#client;
  }

  async #importClient(): Promise<PolicyClient> {
    try {
      const { PolicyClient } = await import("./policy-client.ts");
      return new PolicyClient(this.#options);
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }
}

function parse(body: Uint8Array): ParsedPolicy {
  try {
    return parsePolicy(body);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new FetchFailure("policy-syntax", `policy is not valid: ${cause.message}`, { cause });
  }
}

function fetchError(host: string, error: unknown, draft: FetchTraceDraft, deadline: Deadline): FetchError {
  const failure = asFailure(error, deadline);
  const trace = { ...draft, durationMs: deadline.spentMs };
  const where =
    trace.proxy === undefined ? trace.address && ` [${trace.address}]` : ` through ${trace.proxy}`;
  const message = `policy host ${host}${where ?? ""}: ${failure.message}`;
  return new FetchError(failureClassOf(failure.reason), failure.reason, message, trace, {
    cause: failure.cause,
  });
}

function asFailure(error: unknown, deadline: Deadline): FetchFailure {
  // Whatever a step says after the signal fired, the signal is why.
  if (deadline.abortedByCaller) return new FetchFailure("aborted", `given up while ${deadline.step}`);
  if (deadline.signal.aborted) {
    // A proxy of ours that hangs is no fault of the policy host's.
    const isProxy = error instanceof FetchFailure && error.reason === "proxy-failed";
    return new FetchFailure(
      isProxy ? "proxy-failed" : "timeout",
      `${deadline.passed} (was ${deadline.step})`,
    );
  }
  if (error instanceof FetchFailure) return error;
  return new FetchFailure("local-error", `fetch failed: ${errorText(error)}`, { cause: error });
}
