/** Starts the servers that Postfix asks. */
import type { Config, Listener } from "../config.ts";
import type { LookupService } from "../lookup/lookup-service.ts";
import { formatListenAddress } from "../net/listen-address.ts";
import { listen } from "../server/listener.ts";
import type { ListenOptions, LookupServer, ServerEvents } from "../server/listener.ts";
import type { Protocol } from "../server/protocol.ts";
import { socketmap } from "../server/socketmap.ts";
import { tcpTable } from "../server/tcp-table.ts";
import type { InheritedSocket } from "../systemd/environment.ts";

/** A socket to listen on, and what is spoken there. */
export interface Endpoint {
  readonly listener: Listener;
  readonly options: ListenOptions;
}

export interface RunningListener {
  readonly listener: Listener;
  readonly server: LookupServer;
}

/** One for each listener, and where systemd handed down several sockets of its name, one for each of these. */
export function endpoints({ listen: listeners }: Config, handedDown: readonly InheritedSocket[]): Endpoint[] {
  return listeners.flatMap((listener): Endpoint[] => {
    const { address } = listener;
    if (address.kind !== "systemd") return [{ listener, options: listenOptions(address) }];
    return handedDown.filter(({ name }) => name === address.name).map((options) => ({ listener, options }));
  });
}

/** Sockets that systemd handed down and no listener asked for: whoever connects there waits for nothing. */
export function unusedSockets(
  { listen: listeners }: Config,
  handedDown: readonly InheritedSocket[],
): InheritedSocket[] {
  const isUsed = (name: string) =>
    listeners.some(({ address }) => address.kind === "systemd" && address.name === name);
  return handedDown.filter(({ name }) => !isUsed(name));
}

/**
 * Resolves when it accepts. Throws {@link ListenError}.
 *
 * @param maxConnections clients at once
 */
export function startListener(
  { listener, options }: Endpoint,
  service: LookupService,
  maxConnections: number,
  events: ServerEvents,
): Promise<LookupServer> {
  return listen({ ...options, maxConnections }, protocolOf(listener, service), events);
}

function protocolOf(listener: Listener, service: LookupService): Protocol {
  return listener.protocol === "socketmap" ? socketmap(service) : tcpTable(service, listener.map);
}

function listenOptions(address: Exclude<Listener["address"], { kind: "systemd" }>): ListenOptions {
  if (address.kind === "tcp") return { address: formatListenAddress(address) };
  const { path, mode, owner, group } = address;
  return { address: `unix:${path}`, mode, owner: owner?.toString(), group: group?.toString() };
}
