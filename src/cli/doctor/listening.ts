/** Where the daemon is to be asked: what the configuration says, and of systemd's sockets what the daemon says. */
import { formatAddress } from "../../config.ts";
import type { Config, Listener } from "../../config.ts";
import { parseListenAddress } from "../../net/listen-address.ts";
import type { ListenAddress } from "../../net/listen-address.ts";
import type { Readiness, Served } from "./readiness.ts";

/** A listener whose address is known. */
export type KnownListener = At<Listener>;

type At<L> = L extends Listener ? Omit<L, "address"> & { readonly address: ListenAddress } : never;

export interface Listening {
  readonly listeners: readonly KnownListener[];
  /** As the configuration writes them; only systemd knows where they are, for the daemon could not be asked. */
  readonly unknown: readonly string[];
  /** What the daemon serves in place of what the configuration says: it was not restarted since that changed. */
  readonly stale: { readonly served: readonly string[]; readonly configured: readonly string[] } | undefined;
}

/** Shows the sockets that systemd holds, and where. */
export const LIST_SOCKETS = "systemctl list-sockets";

const SYSTEMD = "systemd:";

/** Names of the sockets that the daemon has of systemd, and of those that `listen` wants. */
export function socketNames(listen: Config["listen"], readiness: Readiness): string[] {
  const wanted = listen.map(({ address }) => formatAddress(address));
  const served = servedBy(readiness).map(({ configured }) => configured);
  return [...wanted, ...served].flatMap((address) =>
    address.startsWith(SYSTEMD) ? [address.slice(SYSTEMD.length)] : [],
  );
}

export function whereItListens({ listen }: Pick<Config, "listen">, readiness: Readiness): Listening {
  const served = servedBy(readiness);
  const listeners: KnownListener[] = [];
  const unknown: string[] = [];
  for (const listener of listen) {
    const found = served
      .filter((socket) => isServed(listener, socket))
      .flatMap(({ address }) => parseListenAddress(address) ?? []);
    for (const address of found) listeners.push({ ...listener, address });
    if (found.length > 0) continue;
    const { address } = listener;
    if (address.kind === "systemd") unknown.push(formatAddress(address));
    else listeners.push({ ...listener, address });
  }
  return { listeners, unknown, stale: staleOf(listen, served) };
}

/** Whether `socket` is what `listener` asks for, by its name in the configuration in force or by where it is. */
function isServed({ protocol, address }: Listener, socket: Served): boolean {
  const wanted = formatAddress(address);
  return protocol === socket.protocol && [socket.configured, socket.address].includes(wanted);
}

function staleOf(listen: Config["listen"], served: readonly Served[]): Listening["stale"] {
  const isWanted = (socket: Served) => listen.some((listener) => isServed(listener, socket));
  const isThere = (listener: Listener) => served.some((socket) => isServed(listener, socket));
  if (served.length === 0 || (served.every(isWanted) && listen.every(isThere))) return undefined;
  return {
    served: served.map(({ address, protocol }) => `${address} (${protocol})`),
    configured: listen.map(({ address, protocol }) => `${formatAddress(address)} (${protocol})`),
  };
}

function servedBy(readiness: Readiness): readonly Served[] {
  return readiness.kind === "answered" ? readiness.listen : [];
}
