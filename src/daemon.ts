/** Builds the daemon out of its configuration, starts it, and takes it down in reverse order. */
import { randomInt } from "node:crypto";
import type { Logger } from "pino";

import type { Config, Listener } from "./config.ts";
import { logLookupEvents, logServerEvents, logSetAside } from "./events.ts";
import { LookupEngine } from "./lookup/engine.ts";
import type { LookupEvents } from "./lookup/events.ts";
import { createLookupService } from "./lookup/maps.ts";
import type { LookupService } from "./lookup/lookup-service.ts";
import { createNetwork } from "./network.ts";
import { formatListenAddress } from "./server/address.ts";
import { listen } from "./server/listener.ts";
import type { ListenOptions, LookupServer } from "./server/listener.ts";
import type { Protocol } from "./server/protocol.ts";
import { socketmap } from "./server/socketmap.ts";
import { tcpTable } from "./server/tcp-table.ts";
import { openStore } from "./store/open-store.ts";
import { StoreError } from "./store/store.ts";
import type { PolicyStore } from "./store/store.ts";

export interface Daemon {
  /** Where it listens, with the ports that were chosen for 0. */
  readonly addresses: readonly string[];
  /**
   * Accepts nobody any more, lets lookups in flight end for as long as the configuration says, then answers them TEMP.
   * Never rejects; idempotent.
   */
  stop(): Promise<void>;
}

/** The longest an answer waits for its policy to reach the disk, in milliseconds. */
const COMMIT_TIMEOUT = 5_000;

/** Of the time stopping may take, this part is for lookups to end by themselves, the rest for their TEMP to be written. */
const PATIENT_PART = 0.8;

/** How often it is looked whether another process wrote to the same file, in milliseconds. */
const SHARED_STORE_INTERVAL = 1_000;

type Release = () => Promise<void> | void;

/**
 * Resolves when every listener accepts.
 *
 * @throws {StoreError | ListenError | ProxyError | TrustedRootsError} after releasing what was already acquired
 */
export async function startDaemon(config: Config, log: Logger, env: NodeJS.ProcessEnv): Promise<Daemon> {
  const releases: Release[] = [];
  try {
    return await acquire(config, log, env, releases);
  } catch (error) {
    await releaseAll(releases, log);
    throw error;
  }
}

async function acquire(
  config: Config,
  log: Logger,
  env: NodeJS.ProcessEnv,
  releases: Release[],
): Promise<Daemon> {
  const network = createNetwork(config, env);

  const store = openStore({ path: config.store.path, now: Date.now, onSetAside: logSetAside(log) });
  releases.push(() => store.close());

  const events = logLookupEvents(log);
  const engine = new LookupEngine({
    ...network,
    store,
    events,
    freshness: config.freshness,
    options: { ...config.lookup, ...config.store, commitTimeout: COMMIT_TIMEOUT },
    now: Date.now,
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
  releases.push(() => engine.stop());

  const sharedStore = setInterval(() => forgetChanged(engine, store, events), SHARED_STORE_INTERVAL);
  releases.push(() => clearInterval(sharedStore));

  const service = createLookupService(engine, new Map(Object.entries(config.maps)));
  const servers: LookupServer[] = [];
  releases.push(() => drain(servers, engine, config.lookup.stopTimeout));
  for (const listener of config.listen) {
    servers.push(await listen(listenOptions(listener), protocolOf(listener, service), logServerEvents(log)));
  }

  let stopped: Promise<void> | undefined;
  return {
    addresses: servers.map(({ address }) => address),
    stop: () => (stopped ??= releaseAll(releases, log)),
  };
}

/** What another process wrote to the same file is read again when it is next asked for. */
function forgetChanged(engine: LookupEngine, store: PolicyStore, events: LookupEvents): void {
  try {
    for (const domain of store.changedElsewhere()) engine.forget(domain);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("read", undefined, error);
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

/** Lookups in flight get their true answer, or TEMP once patience is at its end: never NOTFOUND. */
async function drain(servers: readonly LookupServer[], engine: LookupEngine, timeout: number): Promise<void> {
  const patience = setTimeout(() => engine.stop(), timeout * PATIENT_PART);
  const signal = AbortSignal.timeout(timeout);
  await Promise.all(servers.map((server) => server.drain(signal)));
  clearTimeout(patience);
}

async function releaseAll(releases: readonly Release[], log: Logger): Promise<void> {
  for (const release of releases.toReversed()) {
    try {
      await release();
    } catch (error) {
      log.error({ err: error }, "stopping: a part did not stop cleanly");
    }
  }
}
