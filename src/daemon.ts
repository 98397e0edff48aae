/** Builds the daemon out of its configuration, starts it, and takes it down in reverse order. */
import { randomInt } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

import type { Config, Listener } from "./config.ts";
import {
  logExpiredOverride,
  logLookupEvents,
  logServerEvents,
  logSetAside,
  logValidation,
} from "./events.ts";
import type { Logger } from "./log.ts";
import { DaneCache } from "./lookup/dane-cache.ts";
import { daneState } from "./lookup/dane-source.ts";
import type { DaneSource } from "./lookup/dane-source.ts";
import { LookupEngine } from "./lookup/engine.ts";
import type { LookupEvents } from "./lookup/events.ts";
import type { LookupService } from "./lookup/lookup-service.ts";
import { MapLookup } from "./lookup/maps.ts";
import type { LookupRules } from "./lookup/maps.ts";
import { Overrides } from "./lookup/overrides.ts";
import { runRefresher } from "./lookup/refresher.ts";
import { ValidationMonitor } from "./lookup/validation-monitor.ts";
import { createNetwork } from "./network.ts";
import type { Network } from "./network.ts";
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

/** The longest an answer waits for its policy to reach the disk, in milliseconds. */
const COMMIT_TIMEOUT = 5_000;

/** Of the time stopping may take, this part is for lookups to end by themselves, the rest for their TEMP to be written. */
const PATIENT_PART = 0.8;

/** How often it is looked whether another process wrote to the same file, in milliseconds. */
const SHARED_STORE_INTERVAL = 1_000;

/** Fifty renewals a second at most, so that even a backlog of 200,000 is worked off in little more than an hour. */
const REFRESHER_OPTIONS = {
  pace: 20,
  concurrency: 16,
  shortestSleep: 1_000,
  longestSleep: 300_000,
  sweepInterval: 3_600_000,
};

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

  const events = logLookupEvents(log);
  const engine = new LookupEngine({
    ...network,
    store,
    dane: createDaneCache(config, network, validation),
    events,
    freshness: config.freshness,
    options: { ...config.lookup, ...config.store, commitTimeout: COMMIT_TIMEOUT },
    now: Date.now,
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
  releases.push(() => engine.stop());

  const sharedStore = setInterval(() => forgetChanged(engine, store, events), SHARED_STORE_INTERVAL);
  releases.push(() => clearInterval(sharedStore));

  const refresh = (domain: string) => engine.renew(domain);
  const options = { ...REFRESHER_OPTIONS, unusedAfter: config.freshness.unusedAfter };
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

  let current = config;
  let stopped: Promise<void> | undefined;
  return {
    addresses: servers.map(({ address }) => address),
    reload(next) {
      service.use(lookupRules(next, log));
      log.level = next.log.level;
      const ignored = needRestart(current, next);
      current = next;
      return ignored;
    },
    stop: () => (stopped ??= releaseAll(releases, log)),
  };
}

function lookupRules({ maps, overrides }: Config, log: Logger): LookupRules {
  return {
    maps: new Map(Object.entries(maps)),
    overrides: new Overrides(overrides, logExpiredOverride(log)),
  };
}

/** The sections in which `next` differs from `current` and which only a restart can change. */
function needRestart(current: Config, next: Config): string[] {
  const fixed = ["listen", "store", "lookup", "dns", "dane", "fetch", "freshness"] as const;
  return fixed.filter((section) => !isDeepStrictEqual(current[section], next[section]));
}

function createValidationMonitor({ dane }: Config, network: Network, log: Logger): ValidationMonitor {
  return new ValidationMonitor({
    test: network.testValidation,
    onChange: logValidation(log, dane.selfTestName),
    interval: dane.selfTestInterval,
  });
}

function createDaneCache(config: Config, network: Network, validation: ValidationMonitor): DaneSource {
  return new DaneCache({
    async discover(domain) {
      const finding = await network.discoverDane(domain, validation.mayValidate);
      return { state: daneState(finding), ttl: finding.ttl };
    },
    now: Date.now,
    options: { ...config.dane, memoryEntries: config.store.memoryEntries },
  });
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
