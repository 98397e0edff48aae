/** What memory answers: as Postfix asks, in batches, and with a connection for a few questions. Beside the bare server. */
import { join } from "node:path";
import { cpuPer100k, type Load } from "../load.ts";
import {
  inTurns,
  LOAD_COLUMNS,
  loadRow,
  ownFaults,
  type Rounds,
  type Scenario,
  type Surroundings,
  warm,
} from "../scenario.ts";
import { check, type Check, type Section } from "../section.ts";
import { missingForMtaStsDaemon, startBare, startMtaStsDaemon, startStsmapd } from "../servers.ts";
import { ratios } from "../statistics.ts";
import { storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

interface Pattern {
  readonly name: string;
  readonly load: Omit<Load, "keys" | "seconds" | "warmUp">;
  /** Ratios to the bare server. */
  readonly rate?: number;
  readonly p99?: number;
  readonly cpu?: number;
}

const PATTERNS: readonly Pattern[] = [
  { name: "1 connection", load: { connections: 1 } },
  { name: "50 connections", load: { connections: 50 }, rate: 0.95, p99: 1.2, cpu: 1.1 },
  { name: "200 connections", load: { connections: 200 }, rate: 0.95, p99: 1.2, cpu: 1.1 },
  { name: "1,000 connections", load: { connections: 1_000 } },
  { name: "50 × 16 outstanding", load: { connections: 50, outstanding: 16 }, rate: 0.6 },
  { name: "connect, 1 query, close", load: { connections: 50, each: 1 }, rate: 0.95 },
  { name: "connect, 10 queries, close", load: { connections: 50, each: 10 }, rate: 0.9, p99: 0.5 },
];

/** In the tcp_table protocol the bare server has no part. */
const TCP_TABLE = new Set([
  "50 connections",
  "200 connections",
  "50 × 16 outstanding",
  "connect, 1 query, close",
]);

function checksOf(pattern: Pattern, ours: Rounds, bare: Rounds): Check[] {
  const { name, rate, p99, cpu } = pattern;
  const by = `${name}, by the bare server's`;
  const checks: Check[] = [];
  if (rate !== undefined)
    checks.push(
      check(
        `rate on ${by}`,
        ratios(ours.reports, bare.reports, (r) => r.rate),
        "at least",
        rate,
      ),
    );
  if (p99 !== undefined)
    checks.push(
      check(
        `p99 on ${by}`,
        ratios(ours.reports, bare.reports, (r) => r.known.p99),
        "at most",
        p99,
      ),
    );
  if (cpu !== undefined)
    checks.push(
      check(`CPU a lookup on ${by}`, ratios(ours.reports, bare.reports, cpuPer100k), "at most", cpu),
    );
  if (pattern.load.connections === 1_000) {
    const silent = ours.reports.map((report) => report.silent + report.broken);
    checks.push(check("1,000 connections: left unanswered", silent, "at most", 0, "connections"));
  }
  return checks;
}

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, keys } = surroundings;
  await using world = await nearWorld(surroundings);
  const store = await storedAt(join(folder, "warm.sqlite"), keys);
  await using ours = await startStsmapd({ folder, world, store });
  await using bare = await startBare(folder);
  const missing = missingForMtaStsDaemon(surroundings.isRoot);
  await using other = missing === undefined ? await startMtaStsDaemon(folder, world) : undefined;
  const servers = [ours, bare, ...(other === undefined ? [] : [other])];
  for (const server of servers) await warm(server, surroundings);

  const rows = [];
  const checks = [];
  let faults = 0;
  for (const pattern of PATTERNS) {
    const all = await inTurns(surroundings, servers, { ...pattern.load, keys });
    for (const rounds of all) rows.push(loadRow(pattern.name, rounds));
    const [first, second] = all;
    if (first !== undefined && second !== undefined) checks.push(...checksOf(pattern, first, second));
    faults += ownFaults(all);
  }
  for (const { name, load } of PATTERNS.filter((pattern) => TCP_TABLE.has(pattern.name))) {
    const all = await inTurns(surroundings, [ours], { ...load, keys, protocol: "tcp_table" });
    for (const rounds of all) rows.push(loadRow(`tcp_table: ${name}`, rounds));
    faults += ownFaults(all);
  }
  const notes = ["Domains with an enforce policy, asked for at random; the servers run in turns."];
  if (missing !== undefined) notes.push(`postfix-mta-sts-resolver ${missing}`);
  return [{ title: "Warm lookups", notes, columns: LOAD_COLUMNS, rows, checks, faults }];
}

export const warmLookups: Scenario = { name: "warm", run };
