/** Domains never seen: one question to DNS and one fetch over TLS each, near and far. */
import { join } from "node:path";
import { faults, type LoadReport, runLoad } from "../load.ts";
import { scrape } from "../metrics.ts";
import type { Scenario, Surroundings } from "../scenario.ts";
import { check, type Cell, type Check, type Section } from "../section.ts";
import { missingForMtaStsDaemon, type Server, startMtaStsDaemon, startStsmapd } from "../servers.ts";
import { median } from "../statistics.ts";
import { nearWorld, World } from "../world.ts";
import type { WorldCounts } from "../world-server.ts";

/** TXT; A and AAAA at the same time; TCP; TLS 1.3; HTTP. */
const ROUND_TRIPS = 5;
/** Domains a second that neither daemon nor policy hosts have to queue for, so that what is measured is one resolution. */
const STEADY_RATE = 25;
/** Milliseconds that may come on top of them. */
const OWN_TIME = 15;
/** As `fetch.concurrency`: what is asked beyond it waits. */
const CONCURRENCY = 64;
/** Milliseconds of CPU for record and fetch. */
const CPU_LIMIT = 1.1;

const COLUMNS = [
  "round trip",
  "server",
  "clients",
  "domains/s",
  "p50 ms",
  "p99 ms",
  "CPU ms",
  "TXT",
  "connections",
  "handshakes",
  "wrong",
];

interface Round {
  readonly report: LoadReport;
  readonly counts: WorldCounts;
}

/** Asks for domains from `first` on, each once; with a `rate`, so many a second. */
async function ask(
  server: Server,
  world: World,
  connections: number,
  first: number,
  keys: number,
  rate?: number,
): Promise<Round> {
  await world.counts();
  const report = await runLoad(server, {
    ...(rate !== undefined && { rate }),
    connections,
    keys,
    first,
    limit: keys,
    inOrder: true,
    seconds: 600,
  });
  return { report, counts: await world.counts() };
}

function cpuOf({ report }: Round): number {
  return (report.serverCpu * 1000) / report.replies;
}

function row(roundTrip: number, server: Server, clients: Cell, rounds: readonly Round[]): Cell[] {
  const of = (figure: (round: Round) => number) => median(rounds.map((round) => figure(round)));
  const each = (figure: (counts: WorldCounts) => number) =>
    of(({ report, counts }) => figure(counts) / report.replies);
  return [
    roundTrip === 0 ? "loopback" : `${roundTrip} ms`,
    server.name,
    clients,
    of(({ report }) => report.rate),
    of(({ report }) => report.known.p50 / 1000),
    of(({ report }) => report.known.p99 / 1000),
    of(cpuOf),
    each((counts) => counts.questions["TXT"] ?? 0),
    each((counts) => counts.connections),
    each((counts) => counts.handshakes),
    rounds.reduce((sum, { report }) => sum + faults(report), 0),
  ];
}

function onlyOneOfEach(where: string, rounds: readonly Round[]): Check[] {
  const most = rounds.map(({ report, counts }) =>
    Math.max(counts.mostTxt, counts.connections / report.replies, counts.handshakes / report.replies),
  );
  return [check(`${where}: TXT questions, connections, handshakes a domain`, most, "at most", 1, "")];
}

async function near(
  surroundings: Surroundings,
  keys: number,
): Promise<Pick<Section, "rows" | "checks" | "faults">> {
  const { folder, isRoot, rounds } = surroundings;
  await using world = await nearWorld(surroundings);
  await using ours = await startStsmapd({ folder, world, store: join(folder, "cold.sqlite") });
  await using other =
    missingForMtaStsDaemon(isRoot) === undefined ? await startMtaStsDaemon(folder, world) : undefined;
  const [mine, theirs]: [Round[], Round[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    // Domain 0 was asked for at the start.
    const first = 1 + round * keys;
    mine.push(await ask(ours, world, CONCURRENCY, first, keys));
    if (other !== undefined) theirs.push(await ask(other, world, CONCURRENCY, first, keys));
  }
  const rows = [row(0, ours, CONCURRENCY, mine)];
  if (other !== undefined) rows.push(row(0, other, CONCURRENCY, theirs));
  const checks = [
    check("loopback: CPU a resolution", mine.map(cpuOf), "at most", CPU_LIMIT, "ms"),
    ...onlyOneOfEach("loopback", mine),
  ];
  return { rows, checks, faults: mine.reduce((sum, { report }) => sum + faults(report), 0) };
}

async function far(
  { folder, rounds, quick }: Surroundings,
  keys: number,
  roundTrip: number,
): Promise<Pick<Section, "rows" | "checks" | "faults">> {
  await using world = await World.far(roundTrip);
  const name = `stsmapd-${roundTrip}`;
  await using ours = await startStsmapd({ folder, world, store: join(folder, `${name}.sqlite`), name });
  const steady = [await ask(ours, world, CONCURRENCY, 400_000, quick ? 50 : 500, STEADY_RATE)];
  const all: Round[] = [];
  // At 64 a second and more, one round is long enough; a second one shows the spread.
  for (let round = 0; round < Math.min(rounds, 2); round++)
    all.push(await ask(ours, world, CONCURRENCY, 1 + round * keys, keys));
  const before = await scrape(ours);
  const crowd = await ask(ours, world, quick ? 128 : 256, 500_000, keys);
  const after = await scrape(ours);
  const sum = "stsmapd_fetch_duration_seconds_sum";
  const busy = ((after.get(sum) ?? 0) - (before.get(sum) ?? 0)) / crowd.report.seconds / CONCURRENCY;
  const where = `${roundTrip} ms`;
  const limit = ROUND_TRIPS * roundTrip + OWN_TIME;
  const checks = [
    check(
      `${where}, ${STEADY_RATE} a second: p50`,
      steady.map(({ report }) => report.known.p50 / 1000),
      "at most",
      limit,
      "ms",
    ),
    ...onlyOneOfEach(where, [...steady, ...all, crowd]),
  ];
  // With a short round trip it is the CPU that bounds the rate.
  if (roundTrip >= 50)
    checks.push(
      check(
        `${where}, a crowd: part of the ${CONCURRENCY} fetches at once in use`,
        [busy],
        "at least",
        0.9,
        "",
      ),
    );
  const rows = [
    row(roundTrip, ours, `${STEADY_RATE} a second`, steady),
    row(roundTrip, ours, CONCURRENCY, all),
    row(roundTrip, ours, quick ? 128 : 256, [crowd]),
  ];
  return {
    rows,
    checks,
    faults: [...steady, ...all, crowd].reduce((total, { report }) => total + faults(report), 0),
  };
}

async function run(surroundings: Surroundings): Promise<Section[]> {
  const keys = surroundings.quick ? 100 : 5_000;
  const parts = [await near(surroundings, keys)];
  const delays = surroundings.quick ? [1] : [1, 50];
  if (surroundings.isRoot) for (const delay of delays) parts.push(await far(surroundings, keys, delay));
  const notes = [
    `${keys.toLocaleString("en")} domains that were never asked for. TXT, connections and handshakes are by domain.`,
    `A resolution takes ${ROUND_TRIPS} round trips: TXT; A and AAAA together; TCP; TLS 1.3; HTTP.`,
    "With clients, each asks again as soon as it is answered: what queues for a core then is in the times.",
  ];
  const missing = missingForMtaStsDaemon(surroundings.isRoot);
  if (missing !== undefined) notes.push(`postfix-mta-sts-resolver ${missing}`);
  if (!surroundings.isRoot)
    notes.push("Round trips that take time: not measured, only root may have a network of its own.");
  const [rows, checks] = [parts.flatMap((part) => part.rows), parts.flatMap((part) => part.checks)];
  return [
    {
      title: "Cold lookups",
      notes,
      columns: COLUMNS,
      rows,
      checks,
      faults: parts.reduce((sum, part) => sum + part.faults, 0),
    },
  ];
}

export const coldLookups: Scenario = { name: "cold", run };
