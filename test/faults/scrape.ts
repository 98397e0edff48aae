/**
 * Scrapes with 200,000 stored policies while Postfix goes on asking: `node test/faults/scrape.ts [rows]`. What stops the event
 * loop shows in the answers that wait meanwhile.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "../../src/store/open-store.ts";
import { DAY } from "../helpers/clock.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { entry, failure, pin } from "../store/entries.ts";
import { claim, Clients, Latencies, steadily } from "./load.ts";

const WARM = 1_000;
/** Questions a second. */
const RATE = 1_000;
const TURNS = 5;
/** Milliseconds. */
const TURN = 2_000;
const BETWEEN = 100;
const WARM_UP = 5_000;

/** All of them end within a week, and of half of them the last fetch failed: so many rows the count has to look at. */
async function fill(path: string, rows: number): Promise<void> {
  const now = Date.now();
  const store = openStore({ path, now: () => now, examine: false });
  const put = (n: number) =>
    store.put(
      entry(`d${n}.example`, {
        pin: pin({ fetchedAt: now - DAY }),
        failure: n % 2 === 0 ? failure({ failedAt: now, retryAt: now + DAY }) : undefined,
        checkedAt: now,
        checkAt: now + DAY,
        usedAt: now,
      }),
    );
  for (let from = 0; from < rows; from += 10_000)
    await Promise.all(Array.from({ length: Math.min(10_000, rows - from) }, (_, n) => put(from + n)));
  await store.close();
}

async function measure(rows: number): Promise<void> {
  using home = new Home();
  const path = join(home.path, "cache.sqlite");
  await fill(path, rows);
  const config = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
metrics: { listen: "127.0.0.1:0" }
dane: { enabled: false }
dns: { servers: ["127.0.0.1:9"] }
store: { path: ${path} }
`;
  await using daemon = await Daemon.start(["-c", home.write("c.yaml", config)], home.environment());
  const page = String((await daemon.logged("ready"))["metrics"]);
  using clients = new Clients(daemon.addresses[0] ?? "");
  const ask = (latencies: Latencies, duration: number) =>
    steadily(RATE, duration, async (n) => {
      await latencies.time(() => clients.ask(`d${n % WARM}.example`));
    });
  const scrape = async (into: Latencies) => {
    const body = await into.time(async () => (await fetch(`http://${page}/metrics`)).text());
    if (!body.includes(`stsmapd_cache_lapsing ${rows / 2}`)) throw new Error("a scrape without its counts");
  };
  // Filled into memory, and the search for damage at the start done.
  await ask(new Latencies(), WARM_UP);
  const [quiet, scraped, first, later] = [new Latencies(), new Latencies(), new Latencies(), new Latencies()];
  await Promise.all([ask(scraped, TURN), scrape(first)]);
  // In turns, so that what else the machine does counts for both.
  for (let turn = 0; turn < TURNS; turn++) {
    await ask(quiet, TURN);
    const asking = ask(scraped, TURN);
    for (let passed = 0; passed < TURN; passed += BETWEEN) {
      await scrape(later);
      await sleep(BETWEEN);
    }
    await asking;
  }

  console.log(`${rows} policies, ${RATE} questions a second, a scrape every ${BETWEEN} ms`);
  console.log(`quiet:   ${quiet.summary()}`);
  console.log(`scraped: ${scraped.summary()}`);
  console.log(`the first scrape, which counts the rows: ${first.at(1).toFixed(0)} ms`);
  console.log(`those within a minute of it: ${later.summary()}`);
  const longer = scraped.at(0.99) - quiet.at(0.99);
  claim(`p99 is ${longer.toFixed(1)} ms longer while it is scraped (at most 10)`, longer <= 10);
}

const [rows = "200000"] = process.argv.slice(2);
await measure(Number(rows));
