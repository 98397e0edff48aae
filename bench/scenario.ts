/** A scenario's surroundings, and how servers are compared: in turns, round for round. */
import { type Cell, type Section } from "./section.ts";
import { cpuPer100k, faults, type Load, type LoadReport, runLoad } from "./load.ts";
import type { Server } from "./servers.ts";
import { median } from "./statistics.ts";

export interface Surroundings {
  /** For all that is written; removed at the end. */
  readonly folder: string;
  /** To see that all works: short, with few rows. The figures mean nothing. */
  readonly quick: boolean;
  /** Domains in memory that are asked for. */
  readonly keys: number;
  /** With network namespaces, and ports 53 and 443. */
  readonly isRoot: boolean;
  /** Rounds of each comparison. */
  readonly rounds: number;
  /** Seconds of one round, and before it what does not count. */
  readonly seconds: number;
  readonly warmUp: number;
  /** Seconds of the long load after which memory is read. */
  readonly soak: number;
}

export interface Scenario {
  readonly name: string;
  run(surroundings: Surroundings): Promise<Section[]>;
}

/** More unknown domains than one round can ask for. */
const UNKNOWN_STEP = 10_000_000;

/** One server's rounds of one load. */
export interface Rounds {
  readonly server: Server;
  readonly reports: readonly LoadReport[];
  /** MiB after the last. */
  readonly rss: number;
}

/** Gives each server the same load, one after the other, then all over again. */
export async function inTurns(
  { rounds, seconds, warmUp }: Surroundings,
  servers: readonly Server[],
  load: Omit<Load, "seconds" | "warmUp">,
): Promise<Rounds[]> {
  const all = servers.map((server) => ({ server, reports: new Array<LoadReport>(), rss: 0 }));
  for (let round = 0; round < rounds; round++) {
    for (const one of all) {
      const unknownFirst = round * UNKNOWN_STEP;
      one.reports.push(await runLoad(one.server, { ...load, unknownFirst, warmUp, seconds }));
      one.rss = one.server.rss;
    }
  }
  return all;
}

/** Asks for each of the first `keys` domains once, so that they are in memory, and goes on until the code is warm. */
export async function warm(server: Server, { keys, quick }: Surroundings): Promise<void> {
  await runLoad(server, { connections: 16, keys, inOrder: true, limit: keys, seconds: 600 });
  await runLoad(server, { connections: 50, keys, seconds: quick ? 0.1 : 2 });
}

export const LOAD_COLUMNS = [
  "pattern",
  "server",
  "lookups/s",
  "p50 µs",
  "p99 µs",
  "p99.9 µs",
  "max µs",
  "CPU ms/100k",
  "RSS MiB",
  "wrong",
];

/** The medians of all rounds, under {@link LOAD_COLUMNS}. */
export function loadRow(pattern: string, { server, reports, rss }: Rounds): Cell[] {
  const of = (figure: (report: LoadReport) => number) => median(reports.map((report) => figure(report)));
  return [
    pattern,
    server.name,
    Math.round(of(({ rate }) => rate)),
    of(({ known }) => known.p50),
    of(({ known }) => known.p99),
    of(({ known }) => known.p999),
    of(({ known }) => known.max),
    Math.round(of(cpuPer100k)),
    Math.round(rss),
    reports.reduce((sum, report) => sum + faults(report), 0),
  ];
}

/** What stsmapd got wrong in all of these. */
export function ownFaults(all: readonly Rounds[]): number {
  const reports = all
    .filter(({ server }) => server.name.startsWith("stsmapd"))
    .flatMap((rounds) => rounds.reports);
  return reports.reduce((sum, report) => sum + faults(report), 0);
}
