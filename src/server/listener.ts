/** A server that accepts lookup clients. */
import { createServer } from "node:net";
import type { NetConnectOpts, Server } from "node:net";
import { bind } from "./bind.ts";
import type { BindOptions, Bound } from "./bind.ts";
import { clientLimit } from "./client-limit.ts";
import { Clients } from "./clients.ts";
import type { ClientEvents } from "./clients.ts";
import { keepClientsAlive } from "./keep-alive.ts";
import type { Protocol } from "./protocol.ts";

const SERVER_OPTIONS = { allowHalfOpen: true, noDelay: true };

export type ListenOptions = BindOptions & {
  /** Clients at once; further ones are turned away. As many as descriptors allow if undefined. */
  readonly maxConnections?: number | undefined;
};

/** What happens at a server that an operator may want to know. */
export interface ServerEvents extends ClientEvents {
  /** A client could not be accepted. Connections go on, and so does accepting. */
  onAcceptError(error: Error): void;
  /** The system lets no sockets share a port: one of them does all, and clients who come and go wait longer. */
  onUnshared?(address: string, error: unknown): void;
}

/** Starts a server that speaks `protocol`. Throws {@link ListenError}. */
export async function listen(
  options: ListenOptions,
  protocol: Protocol,
  events: ServerEvents,
): Promise<LookupServer> {
  const { maxConnections = clientLimit() } = options;
  const clients = new Clients(maxConnections, protocol, events);
  const servers: Server[] = [];
  const create = () => {
    const server = createServer(SERVER_OPTIONS, (socket) => clients.accept(socket));
    keepClientsAlive(server, "fd" in options);
    servers.push(server);
    return server;
  };
  try {
    const bound = await bind(create, options, (address, error) => events.onUnshared?.(address, error));
    for (const server of servers) server.on("error", (error) => events.onAcceptError(error));
    return new LookupServer(servers, bound, clients);
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

/** A running server. */
export class LookupServer {
  readonly #servers: readonly Server[];
  readonly #bound: Bound;
  readonly #clients: Clients;
  /** Resolves when we accept nobody any more, and the sockets of all clients are closed. */
  #closed: Promise<void> | undefined;

  constructor(servers: readonly Server[], bound: Bound, clients: Clients) {
    this.#servers = servers;
    this.#bound = bound;
    this.#clients = clients;
  }

  /** Where it listens: {@link Bound.address}. */
  get address(): string {
    return this.#bound.address;
  }

  /** Where a client on this machine connects to; undefined where it cannot be found out. */
  get target(): NetConnectOpts | undefined {
    return this.#bound.target;
  }

  /** Handed down by a supervisor. */
  get isInherited(): boolean {
    return this.#bound.isInherited;
  }

  /** Clients connected now. */
  get connections(): number {
    return this.#clients.count;
  }

  /** Whether further clients are turned away. */
  get isFull(): boolean {
    return this.#clients.isFull;
  }

  /** Accepts nobody any more and removes the unix socket; connections go on. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#closed = Promise.all(this.#servers.map(closed)).then(() => undefined);
    await this.#bound.release();
  }

  /**
   * Ends all connections: those that await nothing at once, the others after their replies, what is left when `signal`
   * fires without. Resolves when all are gone. Accepts nobody any more. Idempotent.
   */
  async drain(signal: AbortSignal): Promise<void> {
    await this.close();
    const destroyAll = () => this.#clients.destroy();
    signal.addEventListener("abort", destroyAll);
    this.#clients.finish();
    if (signal.aborted) destroyAll();
    await Promise.all([this.#closed, this.#clients.gone()]);
    signal.removeEventListener("abort", destroyAll);
  }
}

/** Closes it, if it is open. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
