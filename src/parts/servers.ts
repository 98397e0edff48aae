/** Starts the servers that the configuration names. */
import type { Config, Listener } from "../config.ts";
import { logAdminError, logNoAdmin, logNoMetrics } from "../events/server-events.ts";
import type { Logger } from "../log.ts";
import type { CacheAdmin } from "../lookup/cache/cache-admin.ts";
import type { LookupService } from "../lookup/lookup-service.ts";
import { formatListenAddress } from "../net/listen-address.ts";
import { listenAdmin, listenAdminOnTcp } from "../server/admin.ts";
import type { AdminServer, TcpAdminServer } from "../server/admin.ts";
import { cacheRoutes } from "../server/cache-routes.ts";
import { healthRoutes } from "../server/health-routes.ts";
import type { HealthSource } from "../server/health-routes.ts";
import { ListenError } from "../server/listen-error.ts";
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

/** Whoever cannot have the socket, such as a second daemon on the same file, goes on without. */
export async function startAdmin(
  { admin: { socket, mode, group } }: Config,
  cache: CacheAdmin,
  health: HealthSource,
  log: Logger,
): Promise<AdminServer | undefined> {
  if (socket === undefined) return undefined;
  const options = { path: socket, mode, owner: undefined, group: group?.toString() };
  try {
    return await listenAdmin(options, [...cacheRoutes(cache), ...healthRoutes(health)], logAdminError(log));
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    logNoAdmin(log, error);
    return undefined;
  }
}

/** Metrics and health and nothing else. The mail goes on without them. */
export async function startMetrics(
  { metrics: { listen: address } }: Config,
  health: HealthSource,
  log: Logger,
): Promise<TcpAdminServer | undefined> {
  if (address === undefined) return undefined;
  try {
    return await listenAdminOnTcp(address, healthRoutes(health), logAdminError(log));
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    logNoMetrics(log, error);
    return undefined;
  }
}

function protocolOf(listener: Listener, service: LookupService): Protocol {
  return listener.protocol === "socketmap" ? socketmap(service) : tcpTable(service, listener.map);
}

function listenOptions({ address }: Listener): ListenOptions {
  if (address.kind === "tcp") return { address: formatListenAddress(address) };
  const { path, mode, owner, group } = address;
  return { address: `unix:${path}`, mode, owner: owner?.toString(), group: group?.toString() };
}
