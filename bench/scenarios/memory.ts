/** What a cache file costs at start and in memory. */
import { join } from "node:path";
import { faults, runLoad } from "../load.ts";
import { loopDelay } from "../metrics.ts";
import { UNKNOWN } from "../names.ts";
import type { Scenario, Surroundings } from "../scenario.ts";
import { check, type Cell, type Section } from "../section.ts";
import { type Server, startBare, startStsmapd, type StsmapdOptions } from "../servers.ts";
import { median, ratios } from "../statistics.ts";
import { storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

const START_COLUMNS = ["server", "start to first answer, ms", "from", "to", "RSS MiB"];
const LOAD_COLUMNS = [
  "stored",
  "hot",
  "RSS at start, MiB",
  "RSS after load, MiB",
  "event loop p99 ms",
  "lookups",
  "wrong",
];

/** MiB with so many hot entries. */
const LIMITS = new Map([
  [20_000, 90],
  [100_000, 200],
]);

/** Milliseconds beyond the bare server's start. */
const START_LIMIT = 60;

interface Start {
  readonly name: string;
  readonly begin: () => Promise<Server>;
  readonly times: number[];
  readonly rss: number[];
}

async function startUp({ rounds }: Surroundings, starts: readonly Start[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const { begin, times, rss } of starts) {
      await using server = await begin();
      times.push(server.startUp);
      rss.push(server.rss);
    }
  }
}

function startSection(starts: readonly Start[]): Section {
  const rows = starts.map(({ name, times, rss }) => [
    name,
    median(times),
    Math.min(...times),
    Math.max(...times),
    median(rss),
  ]);
  const [bare, none] = starts;
  const most = starts.at(-1);
  const more = (none?.times ?? []).map((time, n) => time - (bare?.times[n] ?? Number.NaN));
  const checks = [
    check("start with none stored, beyond the bare server's", more, "at most", START_LIMIT, "ms"),
    check(
      `start, ${most?.name}, by that with none`,
      ratios(most?.times ?? [], none?.times ?? [], Number),
      "at most",
      1.2,
    ),
  ];
  const notes = [
    "From the start of the process to its first right answer, tried every half millisecond. They start in turns.",
  ];
  return { title: "Start", notes, columns: START_COLUMNS, rows, checks, faults: 0 };
}

async function underLoad(
  { soak }: Surroundings,
  options: StsmapdOptions,
  stored: number,
  hot: number,
): Promise<{ row: Cell[]; rss: number; wrong: number }> {
  await using server = await startStsmapd(options);
  const before = server.rss;
  await loopDelay(server);
  const filled = await runLoad(server, {
    connections: 50,
    keys: hot,
    inOrder: true,
    limit: hot,
    seconds: 600,
  });
  const report = await runLoad(server, { connections: 50, keys: hot, seconds: soak });
  const delay = await loopDelay(server);
  const wrong = faults(filled) + faults(report);
  return { row: [stored, hot, before, server.rss, delay, report.replies, wrong], rss: server.rss, wrong };
}

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, quick, soak } = surroundings;
  await using world = await nearWorld(surroundings);
  const sizes = quick ? [0, 1_000] : [0, 20_000, 200_000, 1_000_000];
  const options = new Map<number, StsmapdOptions>();
  for (const rows of sizes) {
    const store = await storedAt(join(folder, `memory-${rows}.sqlite`), rows);
    // With none stored, the first answer is about a domain that DNS does not know.
    const firstKey = rows === 0 ? { firstKey: UNKNOWN.replace("#", "0") } : {};
    options.set(rows, { folder, world, store, name: `stsmapd-${rows}`, ...firstKey });
  }
  const starts: Start[] = [{ name: "bare Node", begin: () => startBare(folder), times: [], rss: [] }];
  for (const [rows, one] of options)
    starts.push({
      name: `${rows.toLocaleString("en")} stored`,
      begin: () => startStsmapd(one),
      times: [],
      rss: [],
    });
  await startUp(surroundings, starts);

  const rows = [];
  const checks = [];
  let wrong = 0;
  for (const [stored, one] of options) {
    const hots = stored === 1_000_000 ? [20_000, 100_000] : [Math.min(stored, 20_000)];
    for (const hot of hots.filter((count) => count > 0)) {
      const result = await underLoad(
        surroundings,
        { ...one, memoryEntries: Math.max(hot, 20_000) },
        stored,
        hot,
      );
      rows.push(result.row);
      wrong += result.wrong;
      const limit = LIMITS.get(hot);
      const what = `RSS with ${stored.toLocaleString("en")} stored and ${hot.toLocaleString("en")} hot`;
      if (limit !== undefined) checks.push(check(what, [result.rss], "at most", limit, "MiB"));
    }
  }
  const notes = [
    `50 connections for ${soak} s, domains at random. The event loop's delay is sampled every 10 ms, which are in it.`,
  ];
  return [
    startSection(starts),
    { title: "Memory", notes, columns: LOAD_COLUMNS, rows, checks, faults: wrong },
  ];
}

export const memory: Scenario = { name: "memory", run };
