/** Makes the parts of the lookup layer out of their sections of the configuration. */
import { randomInt } from "node:crypto";

import type { Config } from "../config.ts";
import { logExpiredOverride, logValidation } from "../events/daemon-events.ts";
import type { Logger } from "../log.ts";
import type { CacheAdmin } from "../lookup/cache/cache-admin.ts";
import { DaneCache } from "../lookup/dane/dane-cache.ts";
import { daneState } from "../lookup/dane/dane-source.ts";
import { LookupEngine } from "../lookup/engine.ts";
import type { EngineDeps } from "../lookup/engine.ts";
import type { LookupRules } from "../lookup/maps.ts";
import { Overrides } from "../lookup/overrides.ts";
import { StoreCacheAdmin } from "../lookup/cache/store-cache-admin.ts";
import type { CacheAdminDeps } from "../lookup/cache/store-cache-admin.ts";
import { TlsrptReporter } from "../lookup/tlsrpt/reporter.ts";
import type { TlsrptEvents } from "../lookup/tlsrpt/reporter.ts";
import { ValidationMonitor } from "../lookup/dane/validation-monitor.ts";
import { UnixDatagramSender } from "../net/tlsrpt/unix-datagram.ts";
import type { DaneState } from "../policy/verdict.ts";
import type { PolicyStore } from "../store/store.ts";
import { RENEWAL_PACE, renewalsAtOnce } from "./background.ts";
import type { Network } from "./network.ts";

/** The longest an answer waits for its policy to reach the disk, in milliseconds. */
const COMMIT_TIMEOUT = 5_000;

/** Milliseconds since 1970. */
export type Now = () => number;

export function createEngine(
  { freshness, lookup, store: { memoryEntries } }: Config,
  parts: Pick<EngineDeps, "resolver" | "fetcher" | "store" | "dane" | "events" | "now">,
): LookupEngine {
  return new LookupEngine({
    ...parts,
    freshness,
    options: { ...lookup, memoryEntries, commitTimeout: COMMIT_TIMEOUT },
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
}

export function createCacheAdmin(config: Config, parts: Omit<CacheAdminDeps, "options">): CacheAdmin {
  const { recheckMin } = config.freshness;
  const options = { pace: RENEWAL_PACE, concurrency: renewalsAtOnce(config), recheckMin };
  return new StoreCacheAdmin({ ...parts, options });
}

export function lookupRules({ maps, overrides }: Config, log: Logger | undefined): LookupRules {
  return {
    maps: new Map(Object.entries(maps)),
    overrides: new Overrides(overrides, log === undefined ? () => {} : logExpiredOverride(log)),
  };
}

export function createValidationMonitor({ dane }: Config, network: Network, log: Logger): ValidationMonitor {
  return new ValidationMonitor({
    isTrusted: network.trustsAd,
    test: network.testValidation,
    onChange: logValidation(log, dane.selfTestName),
    interval: dane.selfTestInterval,
  });
}

export function createTlsrptReporter(
  { tlsrpt }: Config,
  { resolver }: Network,
  createEvents: (path: string) => TlsrptEvents,
  now: Now,
): TlsrptReporter | undefined {
  const path = tlsrpt.collector;
  if (path === undefined) return undefined;
  const collector = new UnixDatagramSender(path);
  return new TlsrptReporter({ resolver, collector, events: createEvents(path), now });
}

export function createDaneCache(
  config: Config,
  network: Network,
  validation: Pick<ValidationMonitor, "mayValidate">,
  store: PolicyStore,
  now: Now,
  onFound: (state: DaneState) => void = () => {},
): DaneCache {
  return new DaneCache({
    recall: (domain) => store.lastDane(domain),
    remember: (domain, kind) => store.noteDane(domain, kind),
    async discover(domain) {
      const finding = await network.discoverDane(domain, validation.mayValidate);
      const state = daneState(finding);
      onFound(state);
      return { state, ttl: finding.ttl };
    },
    now,
    options: { ...config.dane, memoryEntries: config.store.memoryEntries },
  });
}
