/**
 * The text that Prometheus reads. Loaded after the start where `metrics.listen` is set, elsewhere with the first scrape, and
 * with it the metrics of the process that prom-client brings: they take 15 MB and a timer, which whoever scrapes nothing is
 * spared.
 */
import * as client from "prom-client";
import type { Counter, Gauge, Histogram, Metrics } from "./metrics.ts";

/** A page for Prometheus, with its media type. */
export interface MetricsPage {
  readonly type: string;
  readonly text: string;
}

/** Returns what makes the page of the moment. */
export function prometheusText({ counters, histograms, gauges }: Metrics): () => Promise<MetricsPage> {
  const registry = new client.Registry();
  for (const counter of counters) showCounter(counter, registry);
  for (const histogram of histograms) registry.registerMetric(new ShownHistogram(histogram));
  for (const gauge of gauges) showGauge(gauge, registry);
  client.collectDefaultMetrics({ register: registry });
  return async () => ({ type: registry.contentType, text: await registry.metrics() });
}

function showCounter(counter: Counter<string>, registry: client.Registry): void {
  const { name, help, labelNames } = counter;
  const shown = new client.Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      shown.reset();
      for (const { labels, value } of counter.samples()) shown.inc(labels, value);
    },
  });
}

function showGauge({ name, help, labelNames, read }: Gauge, registry: client.Registry): void {
  const shown = new client.Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    async collect() {
      const samples = await read();
      shown.reset();
      for (const { labels, value } of samples) shown.set(labels, value);
    },
  });
}

/** prom-client has no way to put counts into a histogram: this one is never observed, and shows ours in place of its own. */
class ShownHistogram extends client.Histogram {
  readonly #source: Histogram;

  constructor(source: Histogram) {
    const { name, help, bounds } = source;
    super({ name, help, buckets: [...bounds], registers: [] });
    this.#source = source;
  }

  /** What the registry asks for. */
  async getForPromString(): Promise<object> {
    const { name, help, bounds, counts, sum } = this.#source;
    let count = 0;
    const buckets = Array.from(counts, (own, index) => {
      count += own;
      return { metricName: `${name}_bucket`, value: count, labels: { le: bounds[index] ?? "+Inf" } };
    });
    const sums = [
      { metricName: `${name}_sum`, value: sum },
      { metricName: `${name}_count`, value: count },
    ];
    return { name, help, type: "histogram", values: [...buckets, ...sums] };
  }
}
