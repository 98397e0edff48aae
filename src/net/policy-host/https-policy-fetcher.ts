/** Fetches policies over HTTPS (RFC 8461 §3.2, §3.3), directly or through a proxy. */
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import { parsePolicy, type ParsedPolicy, PolicyError } from "../../policy/policy.ts";
import { AddressGuard } from "./address-guard.ts";
import { networksOf } from "./address-network.ts";
import { Deadline } from "./deadline.ts";
import { errorText, failureClassOf, FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import { FetchQueue } from "./fetch-queue.ts";
import { connectFirst } from "./happy-eyeballs.ts";
import { FetchError, type FetchedPolicy, type PolicyFetcher } from "./policy-fetcher.ts";
import { policyHostAddresses } from "./addresses.ts";
import { requestPolicy } from "./request.ts";
import { openTunnel } from "./proxy-tunnel.ts";
import type { Proxy, ProxySelector } from "./proxy.ts";
import type { Resolver } from "../dns/resolver.ts";
import { handshake, policyHostContext } from "./tls-handshake.ts";
import { systemRoots } from "./trusted-roots.ts";

const PATH = "/.well-known/mta-sts.txt";

export interface HttpsPolicyFetcherOptions {
  readonly resolver: Resolver;
  /** Names the product and where to read about it. */
  readonly userAgent: string;
  /** Milliseconds for DNS, connection, TLS, header and body together. */
  readonly timeoutMs: number;
  /** Milliseconds of these for connection and TLS, so that a host that swallows all packets soon gives its slot back. */
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

/** How a policy host is reached. */
interface Route {
  readonly proxy?: Proxy;
  /** Empty with a proxy. */
  readonly addresses: readonly string[];
}

/**
 * The {@link PolicyFetcher} of the daemon. The wait for a slot does not count towards the deadline, but the caller's signal
 * ends it. Each fetch has a connection of its own, closed before `fetch` settles.
 */
export class HttpsPolicyFetcher implements PolicyFetcher {
  readonly #options: HttpsPolicyFetcherOptions;
  readonly #guard: AddressGuard;
  readonly #queue: FetchQueue;
  #secureContext: SecureContext | undefined;

  /** Throws AddressGuardError for a bad range in `allowAddresses`. */
  constructor(options: HttpsPolicyFetcherOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options.allowAddresses);
    this.#queue = new FetchQueue(options.concurrency, options.perAddress);
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
    const { port, timeoutMs, now } = this.#options;
    const host = `mta-sts.${domain}`;
    const origin = `https://${host}${port === 443 ? "" : `:${port}`}`;
    const trace: FetchTraceDraft = { url: origin + PATH };
    const deadline = new Deadline(timeoutMs, now, signal);
    try {
      const route = await this.#route(host, trace, deadline);
      deadline.pause();
      const release = await this.#queue.acquire(networksOf(route.addresses), deadline.signal);
      deadline.resume();
      try {
        const body = await this.#get(host, origin, route, trace, deadline);
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

  async #get(
    host: string,
    origin: string,
    route: Route,
    trace: FetchTraceDraft,
    deadline: Deadline,
  ): Promise<Uint8Array> {
    const { signal } = deadline;
    const { userAgent, maxBytes, connectTimeoutMs } = this.#options;
    deadline.step = "connecting";
    deadline.connecting(connectTimeoutMs);
    const transport = await this.#connect(host, route, trace, signal);
    try {
      deadline.step = "in the TLS handshake";
      const socket = await handshake(transport, host, this.#context(), trace, signal);
      try {
        deadline.connected();
        deadline.step = "waiting for the policy";
        return await requestPolicy(socket, { origin, path: PATH, userAgent, maxBytes }, trace, signal);
      } finally {
        socket.destroy();
      }
    } finally {
      transport.destroy();
    }
  }

  async #connect(host: string, route: Route, trace: FetchTraceDraft, signal: AbortSignal): Promise<Duplex> {
    const { port } = this.#options;
    if (route.proxy !== undefined) {
      return openTunnel(route.proxy, `${host}:${port}`, this.#context(), trace, signal);
    }
    const socket = await connectFirst(route.addresses, port, signal);
    if (socket.remoteAddress !== undefined) trace.address = socket.remoteAddress;
    return socket;
  }

  /** Made at the first fetch: it takes tens of milliseconds, which start-up should not. */
  #context(): SecureContext {
    this.#secureContext ??= policyHostContext([...systemRoots(), ...this.#options.extraRoots]);
    return this.#secureContext;
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
