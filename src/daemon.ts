/** Builds the daemon out of its configuration, starts it, and takes it down in reverse order. */
// The global of the same name is a getter.
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

import type { Config } from "./config.ts";
import { countedLookup, lookupMetrics } from "./events/counted-lookup.ts";
import { clockEvents, logUnsearched, logUnusedSockets, setAsideEvents } from "./events/daemon-events.ts";
import { lookupEvents } from "./events/lookup-events.ts";
import { daneEvents, watchDns } from "./events/network-events.ts";
import { serverEvents } from "./events/server-events.ts";
import { tlsrptEvents } from "./events/tlsrpt-events.ts";
import type { Logger } from "./log.ts";
import { boundHeapGrowth } from "./heap-growth.ts";
import type { LookupEngine } from "./lookup/engine.ts";
import { MapLookup } from "./lookup/maps.ts";
import { OverdueLookups } from "./lookup/overdue-lookups.ts";
import { withTlsrpt } from "./lookup/tlsrpt/reporter.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { startRefresher, watchSharedStore, watchSteps } from "./parts/background.ts";
import {
  createDaneCache,
  createEngine,
  createTlsrptReporter,
  createValidationMonitor,
  lookupRules,
} from "./parts/lookup.ts";
import type { Phase } from "./parts/health.ts";
import { createMonitoring } from "./parts/monitoring.ts";
import { createNetwork } from "./parts/network.ts";
import type { Network } from "./parts/network.ts";
import { needRestart } from "./parts/reload.ts";
import { selfTest } from "./parts/self-test.ts";
import { endpoints, startListener, unusedSockets } from "./parts/servers.ts";
import type { RunningListener } from "./parts/servers.ts";
import type { AdminServer, TcpAdminServer } from "./server/admin.ts";
import { clientLimit } from "./server/client-limit.ts";
import { openStore } from "./store/open-store.ts";
import type { InheritedSocket } from "./systemd/environment.ts";

export interface Daemon {
  /** Where it listens, with the ports that were chosen for 0. */
  readonly addresses: readonly string[];
  /** The path of the admin socket; undefined where there is none. */
  readonly admin: string | undefined;
  /** Where metrics and health are to be had over TCP; undefined where they are not. */
  readonly metrics: string | undefined;
  /** Asks each listener, as Postfix does. Gives what is wrong; never rejects. An answer may take `timeout` milliseconds. */
  selfTest(timeout: number): Promise<string | undefined>;
  /** How it is: health, and the sum of each counter. Never rejects. */
  state(): Promise<object>;
  /**
   * Takes over what can change while it runs: maps, overrides and the log level.
   *
   * @returns the sections that differ and need a restart
   */
  reload(config: Config): readonly string[];
  /**
   * Accepts nobody any more, lets lookups in flight end for as long as the configuration says, then answers them TEMP.
   * Never rejects; idempotent.
   */
  stop(): Promise<void>;
}

/** The clock of this process, in milliseconds since 1970. */
export const systemTime = (): number => Date.now();

/** Nanoseconds of CLOCK_MONOTONIC. */
export const systemMonotonic = (): bigint => process.hrtime.bigint();

/** Milliseconds that only ever pass. */
export const systemUptime = (): number => performance.now();

/** Of the time stopping may take, this part is for lookups to end by themselves, the rest for their TEMP to be written. */
const PATIENT_PART = 0.8;

/**
 * Milliseconds from when Postfix is served to what nobody waits for: validation, renewals, the bound of the heap, the admin
 * server. Those who waited for a restart are answered first.
 */
const BACKGROUND_DELAY = 25;

/** Milliseconds. */
const PREPARE_DELAY = 500;

/** Milliseconds from the start to when the page of metrics is made ready: before the first scrape, and not with the above. */
const PAGE_DELAY = 1_000;

type Release = () => Promise<void> | void;

/**
 * Resolves when every listener accepts.
 *
 * @param handedDown sockets that systemd handed down
 * @throws {StoreError | ListenError | ProxyError | TrustedRootsError} after releasing what was already acquired
 */
export async function startDaemon(
  config: Config,
  log: Logger,
  env: NodeJS.ProcessEnv,
  metrics: Metrics,
  handedDown: readonly InheritedSocket[] = [],
): Promise<Daemon> {
  const releases: Release[] = [];
  try {
    return await acquire(config, log, env, metrics, handedDown, releases);
  } catch (error) {
    await releaseAll(releases, log);
    throw error;
  }
}

async function acquire(
  config: Config,
  log: Logger,
  env: NodeJS.ProcessEnv,
  metrics: Metrics,
  handedDown: readonly InheritedSocket[],
  releases: Release[],
): Promise<Daemon> {
  const now = systemTime;
  const stopping = new AbortController();
  releases.push(() => stopping.abort());
  const dns = watchDns(metrics, now);
  const network = createNetwork(config, env, stopping.signal, (resolver) => dns.observe(resolver));

  const store = openStore({
    path: config.store.path,
    now,
    onSetAside: setAsideEvents(log, metrics),
    onUnsearched: logUnsearched(log),
  });
  releases.push(() => store.close());

  const validation = createValidationMonitor(config, network, log);
  releases.push(() => validation.stop());

  const tlsrpt = (path: string) => tlsrptEvents(log, metrics, path);
  const reporter = createTlsrptReporter(config, network, tlsrpt, systemUptime);
  releases.push(() => reporter?.stop());

  const lookups = lookupEvents(log, metrics, now, () => service.rules.maps);
  const events = reporter === undefined ? lookups : withTlsrpt(lookups, reporter);
  const dane = createDaneCache(config, network, validation, store, now, daneEvents(log, metrics));
  const engine = createEngine(config, { ...network, store, dane, events, now });
  releases.push(() => engine.stop());

  const watched = { engine, store, events, now };
  releases.push(watchSharedStore(watched), watchSteps(watched, dane, clockEvents(log, metrics)));
  let refresher: Promise<void> | undefined;
  releases.push(() => {
    stopping.abort();
    engine.stop();
    return refresher;
  });

  const service: MapLookup = new MapLookup(engine, lookupRules(config, log), now);
  const overdue = new OverdueLookups(service, systemUptime);
  const ofLookups = lookupMetrics(metrics);
  const ofServers = serverEvents(log, metrics);
  const listeners: RunningListener[] = [];
  let phase: Phase = "starting";
  const monitoring = createMonitoring(config, metrics, {
    store,
    network,
    dns,
    validation,
    lookups,
    engine,
    reporter,
    now,
    phase: () => phase,
    listeners,
    clients: () => clientsOf(listeners),
  });
  // They tell that we stop as long as somebody waits for an answer, so they end after the listeners.
  let page: TcpAdminServer | undefined;
  let admin: AdminServer | undefined;
  releases.push(
    () => page?.close(),
    () => admin?.close(),
  );

  releases.push(() => drain(listeners, engine, config.lookup.stopTimeout));
  const isMap = (map: string) => service.rules.maps.has(map);
  const wanted = endpoints(config, handedDown);
  logUnusedSockets(log, unusedSockets(config, handedDown));
  const maxClients = clientLimit(wanted.length);
  for (const endpoint of wanted) {
    const { listener } = endpoint;
    const counted = countedLookup(overdue, listener.protocol, ofLookups, isMap, systemUptime);
    listeners.push({ listener, server: await startListener(endpoint, counted, maxClients, ofServers) });
  }
  // Postfix is served. Nobody waits for what follows, nor for the code that it loads.
  await sleep(BACKGROUND_DELAY);
  validation.start();
  refresher = startRefresher(config, watched, stopping.signal);
  await boundHeapGrowth();
  const { createCacheAdmin } = await import("./parts/cache-admin.ts");
  const { startAdmin, startMetrics } = await import("./parts/admin.ts");
  page = await startMetrics(config, monitoring, log);
  const rules = () => service.rules;
  const cache = createCacheAdmin(config, { store, engine, dane, rules, isDaemon: true, now });
  admin = await startAdmin(config, cache, monitoring, log);
  phase = "serving";
  releases.push(prepareLater(network));
  releases.push(() => {
    phase = "stopping";
  });
  if (page !== undefined) {
    const timer = setTimeout(() => void monitoring.prepare(), PAGE_DELAY).unref();
    releases.push(() => clearTimeout(timer));
  }

  let stopped: Promise<void> | undefined;
  return {
    addresses: listeners.map(({ server }) => server.address),
    admin: admin && config.admin.socket,
    metrics: page?.address,
    selfTest: (timeout) =>
      selfTest({ listeners, lookups: overdue, deadline: config.lookup.deadline }, timeout),
    state: () => monitoring.state(),
    reload(next) {
      service.use(lookupRules(next, log));
      log.level = next.log.level;
      return needRestart(config, next);
    },
    stop: () => (stopped ??= releaseAll(releases, log)),
  };
}

/**
 * Loads what speaks HTTPS, which takes as long as all the rest of start-up: not before the first questions are answered, and
 * not only when it is wanted, for an upgrade takes the files of a running daemon away.
 */
function prepareLater(network: Network): Release {
  // What cannot be loaded is tried again, and reported, by the first fetch.
  const timer = setTimeout(() => void network.prepare().catch(() => undefined), PREPARE_DELAY);
  return () => clearTimeout(timer);
}

/** Connected clients by the protocol they speak. */
function clientsOf(listeners: readonly RunningListener[]): Record<string, number> {
  const clients: Record<string, number> = {};
  for (const { listener, server } of listeners) {
    clients[listener.protocol] = (clients[listener.protocol] ?? 0) + server.connections;
  }
  return clients;
}

/** Lookups in flight get their true answer, or TEMP once patience is at its end: never NOTFOUND. */
async function drain(
  listeners: readonly RunningListener[],
  engine: LookupEngine,
  timeout: number,
): Promise<void> {
  const patience = setTimeout(() => engine.stop(), timeout * PATIENT_PART);
  const signal = AbortSignal.timeout(timeout);
  try {
    await Promise.all(listeners.map(({ server }) => server.drain(signal)));
  } finally {
    clearTimeout(patience);
  }
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
