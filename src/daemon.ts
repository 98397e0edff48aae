/** Builds the daemon out of its configuration, starts it, and takes it down in reverse order. */
import { randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

import type { Config, Listener } from "./config.ts";
import {
  logAdminError,
  logClockStep,
  logExpiredOverride,
  logLookupEvents,
  logNoAdmin,
  logServerEvents,
  logSetAside,
  logTlsrptEvents,
  logValidation,
} from "./events.ts";
import type { Logger } from "./log.ts";
import type { CacheAdmin } from "./lookup/cache-admin.ts";
import { watchClock } from "./clock.ts";
import { DaneCache } from "./lookup/dane-cache.ts";
import { daneState } from "./lookup/dane-source.ts";
import { LookupEngine } from "./lookup/engine.ts";
import type { EngineDeps } from "./lookup/engine.ts";
import type { LookupEvents } from "./lookup/events.ts";
import type { LookupService } from "./lookup/lookup-service.ts";
import { MapLookup } from "./lookup/maps.ts";
import type { LookupRules } from "./lookup/maps.ts";
import { Overrides } from "./lookup/overrides.ts";
import { runRefresher } from "./lookup/refresher.ts";
import { StoreCacheAdmin } from "./lookup/store-cache-admin.ts";
import type { CacheAdminDeps } from "./lookup/store-cache-admin.ts";
import { TlsrptReporter, withTlsrpt } from "./lookup/tlsrpt-reporter.ts";
import { ValidationMonitor } from "./lookup/validation-monitor.ts";
import { UnixDatagramSender } from "./net/unix-datagram.ts";
import { createNetwork } from "./network.ts";
import type { Network } from "./network.ts";
import { formatListenAddress } from "./server/address.ts";
import { listenAdmin } from "./server/admin.ts";
import type { AdminServer } from "./server/admin.ts";
import { cacheRoutes } from "./server/cache-routes.ts";
import { ListenError } from "./server/listen-error.ts";
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
  /** The path of the admin socket; undefined where there is none. */
  readonly admin: string | undefined;
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

/** The longest an answer waits for its policy to reach the disk, in milliseconds. */
const COMMIT_TIMEOUT = 5_000;

/** Of the time stopping may take, this part is for lookups to end by themselves, the rest for their TEMP to be written. */
const PATIENT_PART = 0.8;

/** How often it is looked whether another process wrote to the same file, in milliseconds. */
const SHARED_STORE_INTERVAL = 1_000;

/** Fifty renewals a second at most, so that even a backlog of 200,000 is worked off in little more than an hour. */
const REFRESHER_OPTIONS = {
  pace: 20,
  shortestSleep: 1_000,
  longestSleep: 300_000,
  tidyInterval: 3_600_000,
  keepSpent: 86_400_000,
};

/** Renewals get this part of the fetches at once, so that dead policy hosts among them keep no client waiting. */
const RENEWAL_PART = 0.25;

/** In milliseconds. */
const CLOCK_WATCH = { interval: 1_000, tolerance: 60_000 };

/** A CacheAdmin on the file itself. */
export interface OpenCache {
  readonly cache: CacheAdmin;
  close(): Promise<void>;
}

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
  const stopping = new AbortController();
  releases.push(() => stopping.abort());
  const network = createNetwork(config, env, stopping.signal);

  const store = openStore({ path: config.store.path, now: Date.now, onSetAside: logSetAside(log) });
  releases.push(() => store.close());

  const validation = createValidationMonitor(config, network, log);
  releases.push(() => validation.stop());

  const reporter = createTlsrptReporter(config, network, log);
  releases.push(() => reporter?.stop());

  const logged = logLookupEvents(log);
  const events = reporter === undefined ? logged : withTlsrpt(logged, reporter);
  const dane = createDaneCache(config, network, validation, store);
  const engine = createEngine(config, { ...network, store, dane, events });
  releases.push(() => engine.stop());

  const sharedStore = setInterval(() => forgetChanged(engine, store, events), SHARED_STORE_INTERVAL);
  releases.push(() => clearInterval(sharedStore));

  const onStep = (milliseconds: number) => {
    logClockStep(log, milliseconds);
    engine.rebase(Date.now());
    dane.expire();
    void rebase(store, events);
  };
  releases.push(watchClock({ wall: Date.now, steady: () => performance.now(), onStep, ...CLOCK_WATCH }));

  const refresh = (domain: string) => engine.renew(domain);
  const options = {
    ...REFRESHER_OPTIONS,
    concurrency: renewalsAtOnce(config),
    unusedAfter: config.freshness.unusedAfter,
  };
  const refresher = runRefresher({ store, refresh, events, now: Date.now, options }, stopping.signal);
  releases.push(() => {
    stopping.abort();
    engine.stop();
    return refresher;
  });

  const service = new MapLookup(engine, lookupRules(config, log), Date.now);
  const servers: LookupServer[] = [];
  releases.push(() => drain(servers, engine, config.lookup.stopTimeout));
  for (const listener of config.listen) {
    servers.push(await listen(listenOptions(listener), protocolOf(listener, service), logServerEvents(log)));
  }
  if (network.trustsAd()) validation.start();

  const rules = () => service.rules;
  const cache = createCacheAdmin(config, { store, engine, dane, rules, isDaemon: true });
  const admin = await startAdmin(config, cache, log);
  releases.push(() => admin?.close());

  let stopped: Promise<void> | undefined;
  return {
    addresses: servers.map(({ address }) => address),
    admin: admin && config.admin.socket,
    reload(next) {
      service.use(lookupRules(next, log));
      log.level = next.log.level;
      return needRestart(config, next);
    },
    stop: () => (stopped ??= releaseAll(releases, log)),
  };
}

/**
 * The cache commands on the file, for when no daemon runs. The file must be there.
 *
 * @param events what goes wrong behind the commands
 * @throws {StoreError | ProxyError | TrustedRootsError}
 */
export function openCache(config: Config, env: NodeJS.ProcessEnv, events: LookupEvents): OpenCache {
  const stopping = new AbortController();
  const network = createNetwork(config, env, stopping.signal);
  const store = openStore({ path: config.store.path, now: Date.now, examine: false });
  const dane = createDaneCache(config, network, { mayValidate: true }, store);
  const engine = createEngine(config, { ...network, store, dane, events });
  const rules = {
    maps: new Map(Object.entries(config.maps)),
    overrides: new Overrides(config.overrides, () => {}),
  };
  return {
    cache: createCacheAdmin(config, { store, engine, dane, rules: () => rules, isDaemon: false }),
    close() {
      stopping.abort();
      engine.stop();
      return store.close();
    },
  };
}

function createEngine(
  { freshness, lookup, store: { memoryEntries } }: Config,
  parts: Pick<EngineDeps, "resolver" | "fetcher" | "store" | "dane" | "events">,
): LookupEngine {
  return new LookupEngine({
    ...parts,
    freshness,
    options: { ...lookup, memoryEntries, commitTimeout: COMMIT_TIMEOUT },
    now: Date.now,
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
}

function createCacheAdmin(config: Config, parts: Omit<CacheAdminDeps, "now" | "options">): CacheAdmin {
  const { recheckMin } = config.freshness;
  const options = { pace: REFRESHER_OPTIONS.pace, concurrency: renewalsAtOnce(config), recheckMin };
  return new StoreCacheAdmin({ ...parts, now: Date.now, options });
}

/** Whoever cannot have the socket, such as a second daemon on the same file, goes on without. */
async function startAdmin(
  { admin: { socket, mode, group } }: Config,
  cache: CacheAdmin,
  log: Logger,
): Promise<AdminServer | undefined> {
  if (socket === undefined) return undefined;
  const options = { path: socket, mode, owner: undefined, group: group?.toString() };
  try {
    return await listenAdmin(options, cacheRoutes(cache), logAdminError(log));
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    logNoAdmin(log, error);
    return undefined;
  }
}

function lookupRules({ maps, overrides }: Config, log: Logger): LookupRules {
  return {
    maps: new Map(Object.entries(maps)),
    overrides: new Overrides(overrides, logExpiredOverride(log)),
  };
}

function renewalsAtOnce({ fetch }: Config): number {
  return Math.ceil(fetch.concurrency * RENEWAL_PART);
}

/** What differs in `next` from the configuration we started with, and what only a restart can change. */
function needRestart(started: Config, next: Config): string[] {
  const fixed = [
    "listen",
    "store",
    "lookup",
    "dns",
    "dane",
    "fetch",
    "freshness",
    "admin",
    "tlsrpt",
  ] as const;
  const sections = fixed.filter((section) => !isDeepStrictEqual(started[section], next[section]));
  return started.log.format === next.log.format ? sections : [...sections, "log.format"];
}

function createValidationMonitor({ dane }: Config, network: Network, log: Logger): ValidationMonitor {
  return new ValidationMonitor({
    test: network.testValidation,
    onChange: logValidation(log, dane.selfTestName),
    interval: dane.selfTestInterval,
  });
}

function createTlsrptReporter(
  { tlsrpt }: Config,
  { resolver }: Network,
  log: Logger,
): TlsrptReporter | undefined {
  const path = tlsrpt.collector;
  if (path === undefined) return undefined;
  const collector = new UnixDatagramSender(path);
  return new TlsrptReporter({ resolver, collector, events: logTlsrptEvents(log, path), now: Date.now });
}

function createDaneCache(
  config: Config,
  network: Network,
  validation: Pick<ValidationMonitor, "mayValidate">,
  store: PolicyStore,
): DaneCache {
  return new DaneCache({
    recall: (domain) => store.lastDane(domain),
    remember: (domain, kind) => store.noteDane(domain, kind),
    async discover(domain) {
      const finding = await network.discoverDane(domain, validation.mayValidate);
      return { state: daneState(finding), ttl: finding.ttl };
    },
    now: Date.now,
    options: { ...config.dane, memoryEntries: config.store.memoryEntries },
  });
}

async function rebase(store: PolicyStore, events: LookupEvents): Promise<void> {
  try {
    await store.rebase(Date.now());
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    events.storeFailed("write", undefined, error);
  }
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
