/** What work in the background costs those who ask: each kind of it in turns with quiet. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { type Load, type LoadReport, runLoad } from "../load.ts";
import { pinned } from "../machine.ts";
import { scrape } from "../metrics.ts";
import {
  loadRow,
  LOAD_COLUMNS,
  ownFaults,
  type Rounds,
  type Scenario,
  type Surroundings,
  warm,
} from "../scenario.ts";
import { check, type Check, type Section } from "../section.ts";
import { type Server, startStsmapd, STSMAPD } from "../servers.ts";
import { ratios } from "../statistics.ts";
import { type Stock, storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

/** Times the quiet p99. */
const LIMIT = 2;

/** Milliseconds between two scrapes: Prometheus lets ten seconds and more pass. */
const SCRAPE_PAUSE = 1_000;

type Work = (signal: AbortSignal) => Promise<void>;

/** Runs `cache list` again and again, on the load generator's core. */
function listing({ config }: Server): Work {
  const [command = "", ...args] = pinned("load", [process.execPath, STSMAPD, "cache", "list", "-c", config]);
  return async (signal) => {
    while (!signal.aborted) {
      const child = spawn(command, args, {
        env: { PATH: process.env["PATH"] },
        stdio: ["ignore", "ignore", "pipe"],
      });
      const end = () => child.kill();
      signal.addEventListener("abort", end);
      const [said] = await Promise.all([text(child.stderr), once(child, "close")]);
      signal.removeEventListener("abort", end);
      const hasFailed = child.exitCode !== 0 || !said.includes("reading the daemon's file");
      if (!signal.aborted && hasFailed) throw new Error(`cache list: ${child.exitCode}: ${said}`);
    }
  };
}

/** Reads all rows over the admin socket again and again, as any program may. */
function listingOverSocket(socketPath: string): Work {
  return async (signal) => {
    while (!signal.aborted) {
      const asked = request({ socketPath, path: "/cache", signal }).end();
      try {
        const [response] = await once(asked, "response");
        for await (const _ of response);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  };
}

function scraping(server: Server): Work {
  return async (signal) => {
    while (!signal.aborted) {
      await scrape(server);
      await sleep(SCRAPE_PAUSE, undefined, { signal }).catch(() => {});
    }
  };
}

async function nothing(): Promise<void> {}

/** One load with `work` beside it. */
async function beside(work: Work, server: Server, load: Load): Promise<LoadReport> {
  const stop = new AbortController();
  const working = work(stop.signal);
  const report = await runLoad(server, load);
  stop.abort();
  await working;
  return report;
}

const LOADS = [
  { name: "50 connections", load: { connections: 50 } },
  { name: "5,000 a second", load: { connections: 50, rate: 5_000 } },
];

/** Policies that the refresher has fetched since the server's start. */
async function renewed(server: Server): Promise<number> {
  server.signal("SIGCONT");
  const figures = await scrape(server);
  server.signal("SIGSTOP");
  return figures.get('stsmapd_resolutions_total{result="fetched",trigger="renewal"}') ?? 0;
}

/** A state of things, and who is asked in it. */
interface State {
  readonly name: string;
  /** Whether it only informs. */
  readonly hasNoTarget?: boolean;
  readonly server: Server;
  readonly work: Work;
}

/** All states in turns. A server that is not asked stands still, so that its own work does not count elsewhere. */
async function inAllStates(
  { rounds, seconds, warmUp, keys }: Surroundings,
  states: readonly State[],
  load: Omit<Load, "keys" | "seconds">,
): Promise<Rounds[]> {
  const all = states.map(({ server }) => ({ server, reports: new Array<LoadReport>(), rss: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const [n, { server, work }] of states.entries()) {
      server.signal("SIGCONT");
      all[n]?.reports.push(await beside(work, server, { ...load, keys, warmUp, seconds }));
      server.signal("SIGSTOP");
    }
  }
  return all.map((one) => ({ ...one, rss: one.server.rss }));
}

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, isRoot, quick } = surroundings;
  const rows = quick ? 2_000 : 200_000;
  await using world = await nearWorld(surroundings);
  const start = async (name: string, stock: Stock) => {
    const store = await storedAt(join(folder, `${name}.sqlite`), rows, stock);
    const server = await startStsmapd({ folder, world, store, name });
    await warm(server, surroundings);
    // The search for damage at the start is over.
    await sleep(quick ? 0 : 5_000);
    server.signal("SIGSTOP");
    return server;
  };
  await using calm = await start("stsmapd", "current");
  await using swept = await start("stsmapd-sweep", "due");
  await using urgent = await start("stsmapd-urgent", "lapsing");
  const before = [await renewed(swept), await renewed(urgent)] as const;
  const states: State[] = [
    { name: "quiet", server: calm, work: nothing, hasNoTarget: true },
    { name: "sweep", server: swept, work: nothing },
    { name: "urgent sweep", server: urgent, work: nothing },
    { name: "cache list", server: calm, work: listing(calm) },
    {
      name: "list over the socket",
      server: calm,
      work: listingOverSocket(join(folder, "stsmapd.sock")),
      hasNoTarget: true,
    },
    { name: "scrape", server: calm, work: scraping(calm) },
  ];
  const table = [];
  const checks: Check[] = [];
  let faults = 0;
  for (const { name, load } of LOADS) {
    const all = await inAllStates(surroundings, states, { ...load, ahead: isRoot });
    faults += ownFaults(all);
    for (const [n, rounds] of all.entries()) {
      const { name: state = "", hasNoTarget } = states[n] ?? {};
      table.push([state, ...loadRow(name, rounds)]);
      const times = ratios(rounds.reports, all[0]?.reports ?? [], ({ known }) => known.p99);
      if (!hasNoTarget)
        checks.push(check(`p99 during ${state}, ${name}, by the quiet one`, times, "at most", LIMIT));
    }
  }
  const [slowly, urgently] = [(await renewed(swept)) - before[0], (await renewed(urgent)) - before[1]];
  const notes = [
    `${rows.toLocaleString("en")} domains stored. In a sweep all of them are due, and lapse in a year: ${slowly} were renewed meanwhile.`,
    `In the urgent sweep they would lapse within hours, as after a long stop: ${urgently} were renewed in the same time.`,
    `The cache is listed again and again, by the command and over the admin socket; metrics are read once a second. With a steady rate, a time begins when the question was due.`,
    isRoot
      ? "On their core the load generator goes before policy hosts and readers, who would be in its times."
      : "Policy hosts and readers share the load generator's core, and are in its times.",
  ];
  return [
    {
      title: "Work in the background",
      notes,
      columns: ["state", ...LOAD_COLUMNS],
      rows: table,
      checks,
      faults,
    },
  ];
}

export const interference: Scenario = { name: "interference", run };
