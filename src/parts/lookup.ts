/** Makes the parts of the lookup layer out of their sections of the configuration. */
import { randomInt } from "node:crypto";

import type { Config } from "../config.ts";
import { logAppliedOverride, logExpiredOverride, logValidation } from "../events/daemon-events.ts";
import type { DaneEvents } from "../events/network-events.ts";
import type { Logger } from "../log.ts";
import { DaneCache } from "../lookup/dane/dane-cache.ts";
import type { DiscoveredDane } from "../lookup/dane/dane-cache.ts";
import { daneState } from "../lookup/dane/dane-source.ts";
import { LookupEngine } from "../lookup/engine.ts";
import type { EngineDeps } from "../lookup/engine.ts";
import type { LookupRules } from "../lookup/maps.ts";
import { Overrides } from "../lookup/overrides.ts";
import { TlsrptReporter } from "../lookup/tlsrpt/reporter.ts";
import type { TlsrptEvents } from "../lookup/tlsrpt/reporter.ts";
import { ValidationMonitor } from "../lookup/dane/validation-monitor.ts";
import { UnixDatagramSender } from "../net/unix-datagram.ts";
import type { PolicyStore } from "../store/store.ts";
import type { Network } from "./network.ts";

/** The longest an answer waits for its policy to reach the disk, in milliseconds. */
const COMMIT_TIMEOUT = 5_000;

/** Questions that wait for an answer at once, of all clients together: 180 MB of heap, and more than a relay has processes. */
const MOST_WAITING = 50_000;

/** As discovery says it where the AD bit is not to be trusted. */
const DANE_UNASKED: DiscoveredDane = { state: { kind: "none" }, ttl: 30, isUnasked: true };

/** Milliseconds since 1970. */
export type Now = () => number;

/** The engine that answers from memory and store, and resolves when neither can. Nothing is asked before the first lookup. */
export function createEngine(
  { freshness, lookup, store: { memoryEntries } }: Config,
  parts: Pick<EngineDeps, "resolver" | "fetcher" | "store" | "dane" | "events" | "now">,
): LookupEngine {
  return new LookupEngine({
    ...parts,
    freshness,
    options: { ...lookup, memoryEntries, commitTimeout: COMMIT_TIMEOUT, mostWaiting: MOST_WAITING },
    random: () => randomInt(2 ** 32) / 2 ** 32,
  });
}

/** Maps and overrides as the configuration has them. Without a `log` nothing is said of overrides. */
export function lookupRules({ maps, overrides }: Config, log: Logger | undefined): LookupRules {
  const ofRules =
    log === undefined
      ? new Overrides(overrides, () => {})
      : new Overrides(overrides, logExpiredOverride(log), logAppliedOverride(log));
  return { maps: new Map(Object.entries(maps)), overrides: ofRules };
}

/** Watches whether the resolvers in force validate DNSSEC; every change is logged. Tests nothing before `start`. */
export function createValidationMonitor({ dane }: Config, network: Network, log: Logger): ValidationMonitor {
  return new ValidationMonitor({
    isTrusted: network.trustsAd,
    test: network.testValidation,
    onChange: logValidation(log, dane.selfTestName),
    interval: dane.selfTestInterval,
  });
}

/**
 * Reports failures to the TLSRPT collector (RFC 8460) at `tlsrpt.collector`; undefined where there is none.
 *
 * @param createEvents gets the path of the collector
 * @param now milliseconds that only ever pass
 */
export function createTlsrptReporter(
  { tlsrpt }: Config,
  { resolver }: Network,
  createEvents: (path: string) => TlsrptEvents,
  now: () => number,
): TlsrptReporter | undefined {
  const path = tlsrpt.collector;
  if (path === undefined) return undefined;
  const collector = new UnixDatagramSender(path);
  return new TlsrptReporter({ resolver, collector, events: createEvents(path), now });
}

/**
 * DANE states by the TTLs of DNS, over the store for what was last known before a restart.
 *
 * @param onFound called with what each discovery came to, before it is remembered
 */
export function createDaneCache(
  config: Config,
  network: Network,
  validation: Pick<ValidationMonitor, "mayValidate">,
  store: PolicyStore,
  now: Now,
  onFound: DaneEvents = () => {},
): DaneCache {
  return new DaneCache({
    recall: (domain) => store.lastDane(domain),
    remember: (domain, kind) => store.noteDane(domain, kind),
    async discover(domain) {
      const finding = await network.discoverDane(domain, validation.mayValidate);
      return { state: daneState(finding), ttl: finding.ttl, isUnasked: finding.mx.kind === "not-asked" };
    },
    discoverUnasked: () => (validation.mayValidate && network.trustsAd() ? undefined : DANE_UNASKED),
    onFound,
    now,
    options: { ...config.dane, memoryEntries: config.store.memoryEntries },
  });
}
