/** Whether it matters how many domains are stored, and how many of them are asked for. */
import { join } from "node:path";
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
import { check, type Section } from "../section.ts";
import { missingForMtaStsDaemon, startMtaStsDaemon, startStsmapd } from "../servers.ts";
import { ratios } from "../statistics.ts";
import { mtaStsDaemonCacheAt, storedAt } from "../stored.ts";
import { nearWorld } from "../world.ts";

async function run(surroundings: Surroundings): Promise<Section[]> {
  const { folder, quick, keys } = surroundings;
  const [few, many, most] = quick ? [keys, 2_000, 10_000] : [1_000, 20_000, 1_000_000];
  await using world = await nearWorld(surroundings);
  const start = async (rows: number) => {
    const name = `stsmapd, ${rows.toLocaleString("en")} stored`;
    const store = await storedAt(join(folder, `distinct-${rows}.sqlite`), rows);
    return startStsmapd({ folder, world, store, name });
  };
  await using small = await start(few);
  await using middle = await start(many);
  await using large = await start(most);
  const missing = missingForMtaStsDaemon(surroundings.isRoot);
  const cache = join(folder, "mta-sts-daemon.sqlite");
  await using other =
    missing === undefined
      ? await startMtaStsDaemon(folder, world, mtaStsDaemonCacheAt(cache, many))
      : undefined;
  const servers = [small, middle, large, ...(other === undefined ? [] : [other])];
  for (const server of servers) await warm(server, surroundings);

  const load = { connections: 50 };
  const hot = await inTurns(surroundings, servers, { ...load, keys: few });
  const [first, , last] = hot;
  // So many that memory has them after a while, and so many that it never does.
  await warm(middle, { ...surroundings, keys: many });
  const all: Rounds[] = [];
  for (const [server, asked] of [
    [middle, many],
    [large, most],
  ] as const)
    all.push(...(await inTurns(surroundings, [server], { ...load, keys: asked })));

  const rows = [
    ...hot.map((rounds) => loadRow(`${few.toLocaleString("en")} asked for`, rounds)),
    ...all.map((rounds) => loadRow("all asked for", rounds)),
  ];
  const checks = [];
  if (first !== undefined && last !== undefined) {
    const what = `rate with ${most.toLocaleString("en")} stored, by that with ${few.toLocaleString("en")}`;
    checks.push(
      check(
        what,
        ratios(last.reports, first.reports, ({ rate }) => rate),
        "at least",
        0.9,
      ),
    );
  }
  const notes = [
    "50 connections, domains at random; memory holds 20,000 of them. What it does not hold is read from the file.",
  ];
  if (missing === undefined)
    notes.push(`postfix-mta-sts-resolver reads all from its file, which has ${many} domains.`);
  else notes.push(`postfix-mta-sts-resolver ${missing}`);
  const faults = ownFaults([...hot, ...all]);
  return [{ title: "Distinct domains", notes, columns: LOAD_COLUMNS, rows, checks, faults }];
}

export const distinctDomains: Scenario = { name: "distinct", run };
