/** What those who watch the daemon are told: metrics, health, and on SIGUSR1 both in the log. */
import type { Config } from "../config.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { MetricsPage } from "../metrics/prometheus.ts";
import type { HealthSource } from "../server/health-routes.ts";
import { addGauges } from "./gauges.ts";
import type { GaugeParts } from "./gauges.ts";
import { reportHealth } from "./health.ts";
import type { HealthParts, HealthReport } from "./health.ts";

export interface Monitoring extends HealthSource {
  health(): Promise<HealthReport>;
  /** Loads what makes the page for Prometheus, which stops the event loop for some 30 ms. Never rejects. */
  prepare(): Promise<void>;
  /** Health, and the sum of each counter. Never rejects. */
  state(): Promise<object>;
}

/** To be called once the counters are there. */
export function createMonitoring(
  config: Config,
  metrics: Metrics,
  parts: HealthParts & GaugeParts,
): Monitoring {
  addGauges(metrics, config, parts);
  let page: Promise<() => Promise<MetricsPage>> | undefined;
  const load = async () => {
    const { prometheusText } = await import("../metrics/prometheus.ts");
    return prometheusText(metrics);
  };
  const loaded = () =>
    (page ??= load().catch((error: unknown) => {
      // For the next scrape to try again.
      page = undefined;
      throw error;
    }));
  return {
    health: () => reportHealth(config, parts),
    metrics: async () => (await loaded())(),
    prepare: () =>
      loaded().then(
        () => undefined,
        () => undefined,
      ),
    state: async () => ({ ...(await reportHealth(config, parts)), counters: metrics.totals() }),
  };
}
