/** Whether the ruler is longer than what it measures: the load generator against a server that does next to nothing. */
import { join } from "node:path";
import { inTurns, ownFaults, type Rounds, type Scenario, type Surroundings, warm } from "../scenario.ts";
import { type Cell, check, type Section } from "../section.ts";
import { startStsmapd, startTrivial } from "../servers.ts";
import { median, ratios } from "../statistics.ts";
import { storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

const PATTERNS = [
  { name: "50 connections", load: { connections: 50 } },
  { name: "50 × 16 outstanding", load: { connections: 50, outstanding: 16 } },
  { name: "connect, 1 query, close", load: { connections: 50, each: 1 } },
];
const COLUMNS = ["pattern", "server", "lookups/s", "server's core %", "load's core %"];

function row(name: string, { server, reports }: Rounds): Cell[] {
  const part = (of: "serverCpu" | "loadCpu") =>
    Math.round(median(reports.map((r) => (100 * r[of]) / r.seconds)));
  return [
    name,
    server.name,
    Math.round(median(reports.map(({ rate }) => rate))),
    part("serverCpu"),
    part("loadCpu"),
  ];
}

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, keys } = surroundings;
  await using world = await nearWorld(surroundings);
  const store = await storedAt(join(folder, "saturation.sqlite"), keys);
  await using ours = await startStsmapd({ folder, world, store });
  await using trivial = await startTrivial(folder);
  await warm(ours, surroundings);
  const rows = [];
  const checks = [];
  let faults = 0;
  for (const { name, load } of PATTERNS) {
    const all = await inTurns(surroundings, [ours, trivial], { ...load, keys });
    const [first, second] = all;
    for (const rounds of all) rows.push(row(name, rounds));
    if (first === undefined || second === undefined) continue;
    const spare = ratios(second.reports, first.reports, ({ rate }) => rate);
    checks.push(check(`the trivial server's rate by ours, ${name}`, spare, "at least", 1.2));
    const share = first.reports.map(({ loadCpu, seconds }) => loadCpu / seconds);
    checks.push(check(`load's part of its core with ours, ${name}`, share, "at most", 0.95, ""));
    faults += ownFaults(all);
  }
  const notes = ["A server in C that answers every netstring with the same reply, against ours."];
  return [{ title: "The load generator", notes, columns: COLUMNS, rows, checks, faults }];
}

export const saturation: Scenario = { name: "saturation", run };
