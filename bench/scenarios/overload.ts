/** Far more questions at once than can be answered soon: every answer must still be the right one. */
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
import { check, type Section } from "../section.ts";
import { missingForMtaStsDaemon, startMtaStsDaemon, startStsmapd } from "../servers.ts";
import { storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, isRoot, keys } = surroundings;
  await using world = await nearWorld(surroundings);
  const store = await storedAt(join(folder, "overload.sqlite"), keys);
  await using ours = await startStsmapd({ folder, world, store });
  const missing = missingForMtaStsDaemon(isRoot);
  await using other = missing === undefined ? await startMtaStsDaemon(folder, world) : undefined;
  const servers = [ours, ...(other === undefined ? [] : [other])];
  for (const server of servers) await warm(server, surroundings);
  const all = await inTurns(surroundings, servers, { connections: 400, outstanding: 100, keys });
  const downgrades = all.map(({ reports }) => reports.reduce((sum, { notFound }) => sum + notFound, 0));
  const columns = [...LOAD_COLUMNS, "NOTFOUND"];
  const rows = all.map((rounds, n) => [...loadRow("400 × 100 outstanding", rounds), downgrades[n] ?? 0]);
  const notes = ["Domains with an enforce policy: NOTFOUND for one of them would be a silent downgrade."];
  if (missing !== undefined) notes.push(`postfix-mta-sts-resolver ${missing}`);
  const faults = ownFaults(all);
  const checks = [check("overload: replies that are wrong or missing", [faults], "at most", 0, "")];
  return [{ title: "Overload", notes, columns, rows, checks, faults }];
}

export const overload: Scenario = { name: "overload", run };
