/** Opens the sockets that a server listens on: TCP, unix, or one inherited from a supervisor. */
import { once } from "node:events";
import type { NetConnectOpts, Server } from "node:net";
import { formatHostPort, formatListenAddress, parseListenAddress } from "../net/listen-address.ts";
import type { HostPort } from "../net/listen-address.ts";
import { listenError, ListenError } from "./listen-error.ts";
import { listenOnTcp } from "./tcp-sockets.ts";
import { unixSocketPath } from "./unix-socket-path.ts";
import { listenOnUnixSocket } from "./unix-socket.ts";

/** Connections the kernel may hold for us; it caps this at net.core.somaxconn. Postfix may start hundreds of smtp(8) at once. */
const BACKLOG = 4_096;

const DEFAULT_MODE = 0o660;

interface OwnSocket {
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  readonly address: string;
  /** Permission bits of a unix socket; 0660 if undefined. */
  readonly mode?: number | undefined;
  /** User name or number a unix socket is given to. */
  readonly owner?: string | undefined;
  /** Group name or number a unix socket is given to. */
  readonly group?: string | undefined;
}

interface InheritedSocket {
  /** A bound stream socket handed down by a supervisor; its file, if it has one, is not ours to remove. */
  readonly fd: number;
  /** What the supervisor calls it. */
  readonly name: string;
}

export type BindOptions = OwnSocket | InheritedSocket;

/** What a server listens on. */
export interface Bound {
  /**
   * Written as in {@link BindOptions}, with the port that was chosen for 0. An inherited socket has the address it was bound
   * to, or `systemd:NAME` where that cannot be found out.
   */
  readonly address: string;
  /** Where a client on this machine connects to; undefined where it cannot be found out. */
  readonly target: NetConnectOpts | undefined;
  /** Handed down by a supervisor. */
  readonly isInherited: boolean;
  /** Removes the file of a unix socket that is ours. */
  readonly release: () => Promise<void>;
}

/**
 * Listens with servers that `create` makes and the caller closes, also after a failure. Throws {@link ListenError}.
 * `[::]` takes IPv6 only, so that it and `0.0.0.0` can be given side by side. `onUnshared`: as {@link listenOnTcp} has it.
 */
export async function bind(
  create: () => Server,
  options: BindOptions,
  onUnshared: (address: string, error: unknown) => void,
): Promise<Bound> {
  const wanted = "fd" in options ? inheritedAddress(options.name) : options.address;
  try {
    return await ("fd" in options ? bindInherited(create(), options) : bindOwn(create, options, onUnshared));
  } catch (error) {
    throw listenError(wanted, error);
  }
}

async function bindOwn(
  create: () => Server,
  options: OwnSocket,
  onUnshared: (address: string, error: unknown) => void,
): Promise<Bound> {
  const wanted = parseListenAddress(options.address);
  if (wanted === undefined)
    throw new ListenError("bad-address", options.address, "want host:port, [v6]:port or unix:/path");
  if (wanted.kind === "unix") {
    const { mode = DEFAULT_MODE, owner, group } = options;
    const release = await listenOnUnixSocket(create(), wanted.path, { mode, owner, group }, BACKLOG);
    return { address: options.address, target: { path: wanted.path }, isInherited: false, release };
  }
  const { host } = wanted;
  const place = { host, port: wanted.port, ipv6Only: true, backlog: BACKLOG };
  const port = await listenOnTcp(create, place, (error) => onUnshared(options.address, error));
  const address = formatListenAddress({ ...wanted, port });
  return { address, target: { host, port }, isInherited: false, release: nothingToRelease };
}

/** A TCP socket tells its address; of a unix socket the kernel does. */
async function bindInherited(server: Server, { fd, name }: InheritedSocket): Promise<Bound> {
  server.listen({ fd, backlog: BACKLOG });
  await once(server, "listening").catch((cause: unknown) => {
    const advice = "the descriptor is no bound stream socket; mend what should hand it down";
    throw new ListenError("bad-descriptor", inheritedAddress(name), advice, { cause });
  });
  const rest = { isInherited: true, release: nothingToRelease };
  const bound = tcpAddress(server);
  if (bound !== undefined) return { address: formatHostPort(bound), target: bound, ...rest };
  const path = unixSocketPath(fd);
  if (path !== undefined) return { address: `unix:${path}`, target: { path }, ...rest };
  return { address: inheritedAddress(name), target: undefined, ...rest };
}

/** Of a server that is not bound to TCP Node gives null, a path, or no port. */
function tcpAddress(server: Server): HostPort | undefined {
  const bound = server.address();
  if (bound === null || typeof bound === "string" || !bound.port) return undefined;
  return { host: bound.address, port: bound.port };
}

function inheritedAddress(name: string): string {
  return `systemd:${name}`;
}

async function nothingToRelease(): Promise<void> {}
