/** Sockets that accept lookup clients: TCP, unix, or one inherited from a supervisor. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { formatListenAddress, parseListenAddress } from "../net/listen-address.ts";
import { clientLimit } from "./client-limit.ts";
import { Connection } from "./connection.ts";
import { listenError, ListenError } from "./listen-error.ts";
import type { Protocol } from "./protocol.ts";
import type { ProtocolError } from "./request-parser.ts";
import { listenOnTcp } from "./tcp-sockets.ts";
import { listenOnUnixSocket } from "./unix-socket.ts";

/** Connections the kernel may hold for us; it caps this at net.core.somaxconn. Postfix may start hundreds of smtp(8) at once. */
const BACKLOG = 4_096;

const DEFAULT_MODE = 0o660;

/** Milliseconds without a word after which the kernel asks whether the peer is alive. One that is stays connected. */
const KEEP_ALIVE_DELAY = 60_000;

/** A server that was full has room again below this part of its clients, so that one who comes and goes is no news. */
const ROOM_AGAIN = 0.9;

export type ListenOptions = (
  | {
      /** `host:port`, `[v6]:port` or `unix:/path`. */
      readonly address: string;
      /** Permission bits of a unix socket; 0660 if undefined. */
      readonly mode?: number | undefined;
      /** User name or number a unix socket is given to. */
      readonly owner?: string | undefined;
      /** Group name or number a unix socket is given to. */
      readonly group?: string | undefined;
    }
  | {
      /** A bound stream socket handed down by a supervisor; its file, if it has one, is not ours to remove. */
      readonly fd: number;
    }
) & {
  /** Clients at once; further ones are turned away. As many as descriptors allow if undefined. */
  readonly maxConnections?: number | undefined;
};

/** What happens at a server that an operator may want to know. */
export interface ServerEvents {
  /** A client broke the framing and is being disconnected. `client` is its IP address, or "" on a unix socket. */
  onViolation(error: ProtocolError, client: string): void;
  /** A client could not be accepted. Connections go on, and so does accepting. */
  onAcceptError(error: Error): void;
  /** From now on clients are turned away, because `maxConnections` are connected; or no longer. */
  onFullChange(isFull: boolean, maxConnections: number): void;
}

/**
 * Starts a server that speaks `protocol`. Throws {@link ListenError}.
 * `[::]` takes IPv6 only, so that it and `0.0.0.0` can be given side by side.
 */
export async function listen(
  options: ListenOptions,
  protocol: Protocol,
  events: ServerEvents,
): Promise<LookupServer> {
  const connections = new Set<Connection>();
  const onViolation = (error: ProtocolError, socket: Socket) =>
    events.onViolation(error, socket.remoteAddress ?? "");
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY };
  const accept = (socket: Socket) => {
    // Each server counts its own clients only.
    if (connections.size >= maxConnections) {
      socket.destroy();
      onDrop();
      return;
    }
    const connection = new Connection(socket, protocol, onViolation);
    connections.add(connection);
    socket.on("close", () => {
      connections.delete(connection);
      if (isFull && connections.size < maxConnections * ROOM_AGAIN) changeFull(false);
    });
  };
  const { maxConnections = clientLimit() } = options;
  const servers: Server[] = [];
  const create = () => {
    const server = createServer({ allowHalfOpen: true, noDelay: true, ...keepAlive }, accept);
    server.maxConnections = maxConnections;
    server.on("drop", onDrop);
    servers.push(server);
    return server;
  };
  let isFull = false;
  const changeFull = (now: boolean) => {
    isFull = now;
    events.onFullChange(now, maxConnections);
  };
  const onDrop = () => {
    if (!isFull) changeFull(true);
  };
  const wanted = "fd" in options ? `fd:${options.fd}` : options.address;
  try {
    const started = await start(create, options);
    for (const server of servers) server.on("error", (error) => events.onAcceptError(error));
    return new LookupServer(servers, started, connections);
  } catch (error) {
    for (const server of servers) server.close();
    throw listenError(wanted, error);
  }
}

interface Started {
  /** As {@link ListenOptions} writes it, with the port that was chosen for 0; `fd:3` for an inherited one. */
  readonly address: string;
  readonly release: () => Promise<void>;
}

async function nothingToRelease(): Promise<void> {}

async function start(create: () => Server, options: ListenOptions): Promise<Started> {
  if ("fd" in options) {
    const server = create();
    server.listen({ fd: options.fd, backlog: BACKLOG });
    await once(server, "listening").catch((cause: unknown) => {
      const advice = "the descriptor is no bound stream socket; mend what should hand it down";
      throw new ListenError("bad-descriptor", `fd:${options.fd}`, advice, { cause });
    });
    return { address: `fd:${options.fd}`, release: nothingToRelease };
  }
  const wanted = parseListenAddress(options.address);
  if (wanted === undefined)
    throw new ListenError("bad-address", options.address, "want host:port, [v6]:port or unix:/path");
  if (wanted.kind === "unix") {
    const { mode = DEFAULT_MODE, owner, group } = options;
    const remove = await listenOnUnixSocket(create(), wanted.path, { mode, owner, group }, BACKLOG);
    return { address: options.address, release: remove };
  }
  const { host, port: wantedPort } = wanted;
  const port = await listenOnTcp(create, { host, port: wantedPort, ipv6Only: true, backlog: BACKLOG });
  return { address: formatListenAddress({ ...wanted, port }), release: nothingToRelease };
}

/** A running server. */
export class LookupServer {
  /** Where it listens, written as in {@link ListenOptions}, with the port that was chosen for 0; `fd:3` for an inherited one. */
  readonly address: string;
  readonly #servers: readonly Server[];
  readonly #connections: ReadonlySet<Connection>;
  readonly #release: () => Promise<void>;
  /** Resolves when we accept nobody any more and all connections are gone. */
  #closed: Promise<void> | undefined;

  constructor(servers: readonly Server[], started: Started, connections: ReadonlySet<Connection>) {
    this.#servers = servers;
    this.address = started.address;
    this.#release = started.release;
    this.#connections = connections;
  }

  /** Clients connected now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Accepts nobody any more and removes the unix socket; connections go on. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#closed = Promise.all(this.#servers.map(closed)).then(() => undefined);
    await this.#release();
  }

  /**
   * Ends all connections: those that await nothing at once, the others after their replies, what is left when `signal`
   * fires without. Resolves when all are gone. Accepts nobody any more. Idempotent.
   */
  async drain(signal: AbortSignal): Promise<void> {
    await this.close();
    const destroyAll = () => {
      for (const connection of this.#connections) connection.destroy();
    };
    signal.addEventListener("abort", destroyAll);
    for (const connection of this.#connections) connection.finish();
    if (signal.aborted) destroyAll();
    await this.#closed;
    signal.removeEventListener("abort", destroyAll);
  }
}

/** Closes it; resolves when its last connection is gone, at once where it is closed already. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
