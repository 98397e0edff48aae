/** Nine questions of ten for domains in memory, one for a domain without a policy that nobody asked for before. */
import { join } from "node:path";
import {
  inTurns,
  LOAD_COLUMNS,
  loadRow,
  ownFaults,
  type Scenario,
  type Surroundings,
  warm,
} from "../scenario.ts";
import type { Section } from "../section.ts";
import { missingForMtaStsDaemon, startMtaStsDaemon, startStsmapd } from "../servers.ts";
import { storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, isRoot, keys } = surroundings;
  await using world = await nearWorld(surroundings);
  const store = await storedAt(join(folder, "mixed.sqlite"), keys);
  await using ours = await startStsmapd({ folder, world, store });
  const missing = missingForMtaStsDaemon(isRoot);
  await using other = missing === undefined ? await startMtaStsDaemon(folder, world) : undefined;
  const servers = [ours, ...(other === undefined ? [] : [other])];
  for (const server of servers) await warm(server, surroundings);
  const all = await inTurns(surroundings, servers, { connections: 50, keys, unknownPart: 0.1 });
  const notes = [
    "50 connections. The times are those of the warm lookups; each unknown domain is asked for once, and so is DNS.",
  ];
  if (missing !== undefined) notes.push(`postfix-mta-sts-resolver ${missing}`);
  const rows = all.map((rounds) => loadRow("90 % warm, 10 % unknown", rounds));
  return [
    { title: "Warm and unknown", notes, columns: LOAD_COLUMNS, rows, checks: [], faults: ownFaults(all) },
  ];
}

export const mixedLookups: Scenario = { name: "mixed", run };
