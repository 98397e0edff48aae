/** Starts the servers of those who watch the daemon and look after its cache. HTTP comes with it, so it is loaded when Postfix is served. */
import type { Config } from "../config.ts";
import { logAdminError, logNoAdmin, logNoMetrics } from "../events/server-events.ts";
import type { Logger } from "../log.ts";
import type { CacheAdmin } from "../lookup/cache/cache-admin.ts";
import { listenAdmin, listenAdminOnTcp } from "../server/admin.ts";
import type { AdminServer, TcpAdminServer } from "../server/admin.ts";
import { cacheRoutes } from "../server/cache-routes.ts";
import { healthRoutes } from "../server/health-routes.ts";
import type { HealthSource } from "../server/health-routes.ts";
import { ListenError } from "../server/listen-error.ts";

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
