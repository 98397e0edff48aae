/** Figures that stsmapd keeps of itself. */
import type { Server } from "./servers.ts";

/** One scrape: the value of each series, by name and labels as written. */
export async function scrape({ metricsPort }: Server): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** Milliseconds of the event loop's delay since the last scrape, p99. It is sampled every 10 ms. */
export async function loopDelay(server: Server): Promise<number> {
  return ((await scrape(server)).get("nodejs_eventloop_lag_p99_seconds") ?? Number.NaN) * 1000;
}
