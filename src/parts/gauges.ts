/** What is measured by looking at the parts when somebody asks. */
import { setTimeout as after } from "node:timers/promises";

import type { Config } from "../config.ts";
import type { ValidationMonitor } from "../lookup/dane/validation-monitor.ts";
import type { LookupEngine } from "../lookup/engine.ts";
import type { TlsrptReporter } from "../lookup/tlsrpt/reporter.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { ValidationState } from "../net/dns/ad-trust.ts";
import { freeSpace } from "../store/free-space.ts";
import type { PolicyStore, StoreCounts } from "../store/store.ts";
import { VERSION } from "../version.ts";
import type { HealthParts } from "./health.ts";
import type { Network } from "./network.ts";

const VALIDATION_STATES: readonly ValidationState[] = [
  "validating",
  "not-validating",
  "unknown",
  "ad-not-trusted",
];

/** Milliseconds for which the rows are not counted again: with a million of them it takes a moment of the writer's time. */
const COUNTS_HOLD = 60_000;

/** Milliseconds that a scrape waits for them: Prometheus gives up after ten seconds. */
const PATIENCE = 2_000;

export interface GaugeParts extends Pick<HealthParts, "phase" | "dns"> {
  readonly store: PolicyStore;
  readonly network: Pick<Network, "queues">;
  readonly validation: Pick<ValidationMonitor, "state">;
  /** Connected clients by protocol. */
  readonly clients: () => Readonly<Record<string, number>>;
  readonly engine: Pick<LookupEngine, "resolving" | "waiting">;
  /** Undefined where nothing is reported. */
  readonly reporter: Pick<TlsrptReporter, "waiting"> | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function addGauges(metrics: Metrics, { store: { path } }: Config, parts: GaugeParts): void {
  const { validation, dns, clients, phase } = parts;
  addStoreGauges(metrics, path, parts);
  addQueueGauges(metrics, parts);
  metrics.gaugeBy(
    "stsmapd_validation",
    "1 for what is known of the resolver's DNSSEC validation.",
    "state",
    () => Object.fromEntries(VALIDATION_STATES.map((state) => [state, Number(state === validation.state)])),
  );
  metrics.gauge(
    "stsmapd_resolver_answering",
    "Whether the questions to DNS about the last few domains were not all in vain.",
    () => Number(dns.health.answering),
  );
  metrics.gaugeBy("stsmapd_clients", "Clients connected.", "protocol", clients);
  metrics.gauge("stsmapd_ready", "Whether lookups are answered.", () => Number(phase() === "serving"));
  metrics.gaugeBy("stsmapd_build_info", "1, with the version that runs.", "version", () => ({
    [VERSION]: 1,
  }));
}

function addStoreGauges(metrics: Metrics, path: string, { store, now }: GaugeParts): void {
  addCacheGauges(metrics, store, now);
  metrics.gauge("stsmapd_store_writable", "Whether the last write to the cache file succeeded.", () =>
    Number(store.health().writable),
  );
  metrics.gauge("stsmapd_store_readable", "Whether the last read of the cache file succeeded.", () =>
    Number(store.health().readable),
  );
  metrics.gauge("stsmapd_store_writes_waiting", "Rows that wait to be written.", () => store.waitingWrites());
  metrics.gauge(
    "stsmapd_store_free_bytes",
    "Room on the disk of the cache file.",
    async () => (await freeSpace(path)) ?? Number.NaN,
  );
}

function addQueueGauges(metrics: Metrics, { network: { queues }, engine, reporter }: GaugeParts): void {
  metrics.gauge(
    "stsmapd_resolutions_running",
    "Domains whose record and policy are being looked up.",
    () => engine.resolving,
  );
  metrics.gauge(
    "stsmapd_resolutions_waiting",
    "Domains that wait for their turn to be looked up.",
    () => engine.waiting,
  );
  metrics.gauge(
    "stsmapd_dns_queries_waiting",
    "Questions to DNS that wait for their turn.",
    () => queues().dnsWaiting,
  );
  metrics.gauge("stsmapd_fetches_running", "Policy fetches under way.", () => queues().fetchesRunning);
  metrics.gauge(
    "stsmapd_fetches_waiting",
    "Policy fetches that wait for their turn.",
    () => queues().fetchesWaiting,
  );
  if (reporter === undefined) return;
  metrics.gauge(
    "stsmapd_tlsrpt_reports_waiting",
    "Reports that wait to be handed to the TLSRPT collector.",
    () => reporter.waiting,
  );
}

function addCacheGauges(metrics: Metrics, store: PolicyStore, now: () => number): void {
  const counts = remembered(() => store.counts(now()), now);
  metrics.gaugeBy(
    "stsmapd_cache_entries",
    "Domains in the cache file by the mode of their policy; unpinned: without one.",
    "mode",
    async () => (await counts())?.entries ?? {},
  );
  metrics.gauge(
    "stsmapd_cache_expiring_soon",
    "Policies that expire within 7 days unless they are renewed.",
    async () => (await counts())?.expiringSoon ?? Number.NaN,
  );
  metrics.gauge(
    "stsmapd_cache_lapsing",
    "Of these, policies in use whose last fetch failed.",
    async () => (await counts())?.lapsing ?? Number.NaN,
  );
  metrics.gauge(
    "stsmapd_cache_oldest_check_timestamp_seconds",
    "When the record was last looked up of the policy for which that is the longest ago; NaN without policies.",
    async () => ((await counts())?.oldestCheck ?? Number.NaN) / 1000,
  );
}

/**
 * `count`, asked again after a minute only, and once for all that ask meanwhile. While it takes its time, what it said
 * before; undefined where that is nothing, or it failed.
 */
function remembered(
  count: () => Promise<StoreCounts>,
  now: () => number,
): () => Promise<StoreCounts | undefined> {
  let known: StoreCounts | undefined;
  let asked: Promise<void> = Promise.resolve();
  let until = -Infinity;
  const ask = async () => {
    known = await count().catch(() => undefined);
  };
  return async () => {
    // A clock that was put back must not make it hold for longer.
    const left = until - now();
    if (left <= 0 || left > COUNTS_HOLD) {
      until = now() + COUNTS_HOLD;
      asked = ask();
    }
    await Promise.race([asked, after(PATIENCE, undefined, { ref: false })]);
    return known;
  };
}
