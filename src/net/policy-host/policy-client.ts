/** From the route to a policy host to the octets of its policy: connection, TLS, HTTP. Loaded by {@link HttpsPolicyFetcher}. */
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import type { Deadline } from "./deadline.ts";
import type { FetchTraceDraft } from "./fetch-failure.ts";
import { connectFirst } from "./happy-eyeballs.ts";
import { openTunnel } from "./proxy-tunnel.ts";
import type { Proxy } from "./proxy.ts";
import { requestPolicy } from "./request.ts";
import { handshake, policyHostContext } from "./tls-handshake.ts";
import { systemRoots } from "./system-roots.ts";

/** How a policy host is reached. */
export interface Route {
  readonly proxy?: Proxy;
  /** Empty with a proxy. */
  readonly addresses: readonly string[];
}

export interface PolicyClientOptions {
  readonly userAgent: string;
  /** Octets a policy file may have. */
  readonly maxBytes: number;
  /** Milliseconds for connection and TLS. */
  readonly connectTimeoutMs: number;
  /** PEM certificates trusted besides the system's. */
  readonly extraRoots: readonly string[];
  readonly port: number;
}

interface Target extends Route {
  /** `mta-sts.example.com`, with the port if it is not 443. */
  readonly authority: string;
  readonly path: string;
}

/** Each policy has a connection of its own, closed before `get` settles. */
export class PolicyClient {
  readonly #options: PolicyClientOptions;
  #secureContext: SecureContext | undefined;

  constructor(options: PolicyClientOptions) {
    this.#options = options;
  }

  /**
   * The body of the policy file of `host`. Fills in `trace` and names in `deadline` the step under way.
   * Throws FetchFailure, or an abort error when the deadline's signal fires.
   */
  async get(host: string, target: Target, trace: FetchTraceDraft, deadline: Deadline): Promise<Uint8Array> {
    const { signal } = deadline;
    const { userAgent, maxBytes, connectTimeoutMs } = this.#options;
    const { authority, path } = target;
    deadline.step = "connecting";
    deadline.connecting(connectTimeoutMs);
    const transport = await this.#connect(host, target, trace, signal);
    try {
      deadline.step = "in the TLS handshake";
      const socket = await handshake(transport, host, this.#context(), trace, signal);
      try {
        deadline.connected();
        deadline.step = "waiting for the policy";
        return await requestPolicy(socket, { authority, path, userAgent, maxBytes }, trace, signal);
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

  /** Made at the first fetch: parsing the roots takes tens of milliseconds. */
  #context(): SecureContext {
    this.#secureContext ??= policyHostContext([...systemRoots(), ...this.#options.extraRoots]);
    return this.#secureContext;
  }
}
