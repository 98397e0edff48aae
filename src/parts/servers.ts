/** Starts the servers that Postfix asks. */
import type { Listener } from "../config.ts";
import type { LookupService } from "../lookup/lookup-service.ts";
import { formatListenAddress } from "../net/listen-address.ts";
import { listen } from "../server/listener.ts";
import type { ListenOptions, LookupServer, ServerEvents } from "../server/listener.ts";
import type { Protocol } from "../server/protocol.ts";
import { socketmap } from "../server/socketmap.ts";
import { tcpTable } from "../server/tcp-table.ts";

/**
 * Resolves when it accepts. Throws {@link ListenError}.
 *
 * @param maxConnections clients at once
 */
export function startListener(
  listener: Listener,
  service: LookupService,
  maxConnections: number,
  events: ServerEvents,
): Promise<LookupServer> {
  const options = { ...listenOptions(listener), maxConnections };
  return listen(options, protocolOf(listener, service), events);
}

function protocolOf(listener: Listener, service: LookupService): Protocol {
  return listener.protocol === "socketmap" ? socketmap(service) : tcpTable(service, listener.map);
}

function listenOptions({ address }: Listener): ListenOptions {
  if (address.kind === "tcp") return { address: formatListenAddress(address) };
  const { path, mode, owner, group } = address;
  return { address: `unix:${path}`, mode, owner: owner?.toString(), group: group?.toString() };
}
