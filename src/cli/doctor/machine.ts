/** All checks, side by side, each with a deadline, so that a dead network holds nobody up. */
import type { Config } from "../../config.ts";
import { createNetwork } from "../../parts/network.ts";
import type { Network } from "../../parts/network.ts";
import { gatherCache, judgeCache, judgeDisk } from "./cache-file.ts";
import { isSynchronized, judgeClock, timeOfPolicyHost } from "./clock.ts";
import { askListeners, judgeListeners } from "./daemon-answers.ts";
import { judgeConnectionReuse, judgeMxPatterns, judgeOverrides, judgeRoute } from "./delivery.ts";
import { CHECK_NAMES, problem, skipped } from "./finding.ts";
import type { CheckName, Finding } from "./finding.ts";
import { socketNames, whereItListens } from "./listening.ts";
import type { Listening } from "./listening.ts";
import { judgeMap } from "./map.ts";
import { findOwnTable, placesOf, tablesOf } from "./own-table.ts";
import type { OwnTable } from "./own-table.ts";
import { judgePolicyTable } from "./policy-table.ts";
import { gatherProbe, judgeProbe } from "./policy-host.ts";
import { gatherPostfix } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { judgePostfix, withoutPostfix } from "./postfix-version.ts";
import { gatherPostmap, judgePostmap } from "./postmap.ts";
import { gatherReadiness, judgeReadiness } from "./readiness.ts";
import type { Readiness } from "./readiness.ts";
import { gatherPostfixResolver, gatherResolver, judgePostfixResolver, judgeResolver } from "./resolver.ts";
import { judgeSecurityLevel } from "./security-level.ts";
import { gatherConfig, gatherUnit, judgeClients, judgeConfig, judgeUnit } from "./service.ts";
import type { UnitFacts } from "./service.ts";
import { gatherSocket, judgeSocket, mailOwner } from "./socket-access.ts";
import { judgeTlsVersions } from "./tls-versions.ts";
import { gatherRoots, judgeRoots } from "./trusted-roots.ts";

export interface Circumstances {
  readonly configPath: string | undefined;
  /** The folder of main.cf; undefined: Postfix's default. */
  readonly postfixFolder: string | undefined;
  /** The domain whose policy is fetched; undefined: none. */
  readonly probe: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that only ever pass. */
  readonly uptime: () => number;
}

/** Milliseconds for what other checks wait for: postconf(1), the daemon's admin socket, systemctl(1). */
const FIRST_DEADLINE = 5_000;
/** Milliseconds for each check. */
const DEADLINE = 9_000;

/** The findings in the order of {@link CHECK_NAMES}. Rejects only for a fault of our own. */
export async function examineMachine(circumstances: Circumstances): Promise<Finding[]> {
  const { configPath, env } = circumstances;
  const { config, facts } = gatherConfig(configPath, env);
  const readiness = gatherReadiness(config, AbortSignal.timeout(FIRST_DEADLINE));
  const listening = readiness.then((said) => {
    // Without `listen:` the sockets decide that the daemon was handed down.
    const again = gatherConfig(configPath, env, socketNames(config.listen, said));
    return whereItListens(again.config, said);
  });
  const unit = gatherUnit(AbortSignal.timeout(FIRST_DEADLINE));
  const groups = await Promise.all([
    unit.then((found) => examineUnit(found, config, circumstances)),
    examineDaemon(readiness, listening, circumstances),
    examinePostfix(config, listening, circumstances, unit),
    examineSurroundings(config, circumstances),
    judgeDisk(config.store.path),
  ]);
  return [judgeConfig(facts), ...groups.flat()].sort(
    (a, b) => CHECK_NAMES.indexOf(a.check) - CHECK_NAMES.indexOf(b.check),
  );
}

/** Without `listen:` the sockets of systemd decide, whether or not the daemon runs. */
function examineUnit(
  unit: UnitFacts | undefined,
  config: Config,
  { configPath, env }: Circumstances,
): Finding {
  const wanted = socketNames(config.listen, { kind: "no-socket" });
  const names = unit?.sockets.map(({ name }) => name) ?? [];
  return judgeUnit(unit, gatherConfig(configPath, env, [...wanted, ...names]).config.listen);
}

async function examineDaemon(
  readiness: Promise<Readiness>,
  listening: Promise<Listening>,
  { uptime }: Circumstances,
): Promise<Finding[]> {
  const where = await listening;
  const answers = await askListeners(where, DEADLINE, uptime);
  return [judgeListeners(answers, where), judgeReadiness(await readiness, where)];
}

const POSTFIX_CHECKS: readonly CheckName[] = [
  "policy-table",
  "map",
  "socket",
  "postmap",
  "security-level",
  "tls-versions",
  "trusted-roots",
  "mx-patterns",
  "connection-reuse",
  "overrides",
  "route",
  "clients",
  "postfix-resolver",
];

async function examinePostfix(
  config: Config,
  listening: Promise<Listening>,
  circumstances: Circumstances,
  unit: Promise<UnitFacts | undefined>,
): Promise<Finding[]> {
  const state = await gatherPostfix(circumstances.postfixFolder, AbortSignal.timeout(FIRST_DEADLINE));
  if (state.kind !== "found") return [judgePostfix(state), ...POSTFIX_CHECKS.map(withoutPostfix)];
  const { facts } = state;
  const where = await listening;
  const own = findOwnTable(facts, where, config.maps);
  return [
    judgePostfix(state),
    judgePolicyTable(facts, where, own),
    judgeMap(facts, own, config.maps),
    judgeSecurityLevel(facts, own?.profile.dane ?? "yield"),
    judgeTlsVersions(facts),
    judgeMxPatterns(facts, own),
    judgeConnectionReuse(facts),
    judgeOverrides(facts),
    judgeRoute(facts),
    ...(await Promise.all([
      ...examineTables(facts, own, circumstances),
      gatherRoots(facts).then((roots) => judgeRoots(roots, facts)),
      gatherPostfixResolver(facts, config, AbortSignal.timeout(DEADLINE)).then(judgePostfixResolver),
      unit.then((found) => judgeClients(facts, where.listeners.length + where.unknown.length, found)),
    ])),
  ];
}

/** Whether Postfix can reach the tables it is told to ask. */
function examineTables(
  facts: PostfixFacts,
  own: OwnTable | undefined,
  { postfixFolder, uptime }: Circumstances,
): Promise<Finding>[] {
  const signal = AbortSignal.timeout(DEADLINE);
  const owner = mailOwner(facts.parameters);
  const asked = owner.then((account) =>
    Promise.all(
      tablesOf(facts).flatMap((table) =>
        placesOf(facts, table)
          .slice(0, 1)
          .map((place) => gatherPostmap(table, place, account, postfixFolder, uptime, signal)),
      ),
    ),
  );
  const socket =
    own === undefined
      ? Promise.resolve(skipped("socket", "Postfix does not ask this daemon"))
      : owner.then((account) => gatherSocket(own, account)).then(judgeSocket);
  return [socket, asked.then(judgePostmap)];
}

/** What the daemon needs of the machine and the Internet. The clock is compared with what was seen on the way. */
async function examineSurroundings(config: Config, { probe, env, now }: Circumstances): Promise<Finding[]> {
  const signal = AbortSignal.timeout(DEADLINE);
  const synchronized = isSynchronized(AbortSignal.timeout(FIRST_DEADLINE));
  let network: Network;
  try {
    network = createNetwork(config, env, signal);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return [problem("configuration", text, ["# mend fetch: in stsmapd.yaml, or the environment"])];
  }
  const [resolver, probed] = await Promise.all([
    gatherResolver(config, network.trustsAd(), signal),
    probe === undefined ? undefined : gatherProbe(probe, network, signal),
  ]);
  // It blocks, so it is done when nobody else waits.
  const cache = gatherCache(config.store.path);
  const newestEntry = cache.kind === "read" ? cache.newestEntry : undefined;
  const clock = {
    now: now(),
    policyHost: timeOfPolicyHost(probed),
    newestEntry,
    synchronized: await synchronized,
  };
  return [judgeResolver(resolver), judgeProbe(probed), judgeClock(clock), judgeCache(cache)];
}
