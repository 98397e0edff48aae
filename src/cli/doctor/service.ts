/** The configuration file, the systemd unit, and how many clients its limits allow. */
import { readFileSync, statSync } from "node:fs";
import { ConfigError, DEFAULT_CONFIG_PATH, loadConfig, parseConfig } from "../../config.ts";
import type { Config } from "../../config.ts";
import { clientLimit } from "../../server/client-limit.ts";
import { shellWord } from "./commands.ts";
import { ok, problem, skipped, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { runProgram } from "./run-program.ts";
import { gatherSocketUnits, heldTwice, servedBy } from "./socket-units.ts";
import type { SocketUnit } from "./socket-units.ts";

export interface ConfigFacts {
  readonly file: string;
  /** Permission bits; undefined where there is no file, and defaults are in force. */
  readonly mode: number | undefined;
  readonly problems: readonly string[];
  readonly denied: boolean;
}

/**
 * The configuration to judge the rest by, the default one where there is no valid one.
 *
 * @param handedDown names of the sockets that the daemon has of systemd, if they are known
 */
export function gatherConfig(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
  handedDown?: readonly string[],
): { config: Config; facts: ConfigFacts } {
  const file = path ?? (env["STSMAPD_CONFIG"] || DEFAULT_CONFIG_PATH);
  let mode: number | undefined;
  try {
    mode = statSync(file, { throwIfNoEntry: false })?.mode;
  } catch {
    // Loading it says why.
  }
  const facts = { file, mode: mode === undefined ? undefined : mode & 0o777, problems: [], denied: false };
  try {
    return { config: loadConfig({ path, env, handedDown }), facts };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const others = Object.entries(env).filter(([name]) => !name.startsWith("STSMAPD_"));
    const config = parseConfig("", file, Object.fromEntries(others), handedDown);
    const { problems, code, message } = error;
    return {
      config,
      facts: { ...facts, problems, denied: code === "unreadable" && message.includes("EACCES") },
    };
  }
}

export function judgeConfig({ file, mode, problems, denied }: ConfigFacts): Finding {
  const rest = "all else is judged by the defaults";
  if (denied) return unknown("configuration", `${problems.join("; ")}; ${rest}`, "# run this as root");
  if (problems.length > 0)
    return problem("configuration", `${problems.join("; ")}; ${rest}`, [
      `# mend ${file}, then: stsmapd config --config ${shellWord(file)}`,
    ]);
  if (mode === undefined) return ok("configuration", `there is no ${file}: the defaults are in force`);
  if ((mode & 0o022) !== 0)
    return problem("configuration", `${file} has mode 0${mode.toString(8)}: others may write it`, [
      `chmod go-w ${shellWord(file)}`,
    ]);
  return ok("configuration", `${file} is valid`);
}

export interface UnitFacts {
  /** `active`, `inactive`, `failed`, … */
  readonly active: string;
  /** `enabled`, `disabled`, … */
  readonly enabled: string;
  /** Descriptors the daemon may have. */
  readonly descriptors: number | undefined;
  /** Those that start it. */
  readonly sockets: readonly SocketUnit[];
}

/** Undefined where systemd does not run, or has no such unit. */
export async function gatherUnit(signal: AbortSignal): Promise<UnitFacts | undefined> {
  const properties = "LoadState,ActiveState,UnitFileState,LimitNOFILESoft,MainPID,TriggeredBy";
  const result = await runProgram("systemctl", ["show", "stsmapd.service", "-p", properties], { signal });
  if (result.kind !== "ended" || result.code !== 0) return undefined;
  const value: Readonly<Record<string, string | undefined>> = Object.fromEntries(
    result.stdout.split("\n").map((line) => line.split("=", 2)),
  );
  if (value["LoadState"] !== "loaded") return undefined;
  const triggers = (value["TriggeredBy"] ?? "").split(" ").filter((unit) => unit.endsWith(".socket"));
  return {
    active: value["ActiveState"] ?? "",
    enabled: value["UnitFileState"] ?? "",
    descriptors: limitOf(value["MainPID"]) ?? (Number(value["LimitNOFILESoft"]) || undefined),
    sockets: await gatherSocketUnits(triggers, signal),
  };
}

function limitOf(pid: string | undefined): number | undefined {
  if (pid === undefined || pid === "0") return undefined;
  try {
    return (
      Number(/^Max open files +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "latin1"))?.[1]) || undefined
    );
  } catch {
    return undefined;
  }
}

/** @param listen what the configuration comes to where all of the unit's sockets are handed down */
export function judgeUnit(unit: UnitFacts | undefined, listen: Config["listen"]): Finding {
  if (unit === undefined) return skipped("unit", "systemd has no stsmapd.service here");
  const { active, enabled, sockets } = unit;
  const runs = active === "active" || active === "reloading";
  // A socket unit that is only enabled is not why the daemon does not run.
  const inTheWay = runs ? sockets : sockets.filter(({ isActive }) => isActive);
  const conflict = judgeConflict(runs, heldTwice(listen, inTheWay));
  if (conflict !== undefined) return conflict;
  const starters = servedBy(listen, sockets);
  const waiting = starters.find(({ isActive }) => isActive);
  if (active === "inactive" && waiting !== undefined)
    return ok("unit", `stsmapd.service is inactive: the first question to ${waiting.unit} starts it`);
  if (!runs)
    return problem("unit", `stsmapd.service is ${active}`, [
      "systemctl start stsmapd",
      "journalctl -u stsmapd -n 20",
    ]);
  if (enabled !== "disabled") return ok("unit", `stsmapd.service is ${active}, ${enabled}`);
  const starter = starters.find(({ isEnabled }) => isEnabled);
  if (starter !== undefined)
    return ok("unit", `stsmapd.service is ${active}; ${starter.unit}, which is enabled, starts it`);
  return warning("unit", "stsmapd.service runs, but will not start with the machine", [
    "systemctl enable stsmapd",
  ]);
}

function judgeConflict(runs: boolean, held: ReturnType<typeof heldTwice>): Finding | undefined {
  if (held === undefined) return undefined;
  const { address, socket } = held;
  const { unit, name, isActive } = socket;
  const judge = runs ? warning : problem;
  const text = `${unit} ${isActive ? "has" : "will have"} ${address}, and the daemon is to listen there itself: it cannot start${runs ? " again" : ""}`;
  return judge("unit", text, [
    `# stsmapd.yaml: write address: systemd:${name} for ${address}, then: systemctl restart stsmapd; or do without ${unit}:`,
    `systemctl disable --now ${unit}`,
    "systemctl restart stsmapd",
  ]);
}

/**
 * Each process of smtp(8) has a connection of its own to the table it asks.
 *
 * @param listeners how many the daemon has
 */
export function judgeClients(facts: PostfixFacts, listeners: number, unit: UnitFacts | undefined): Finding {
  const processes = smtpClients(facts).reduce((sum, { maxProcesses }) => sum + maxProcesses, 0);
  const may = `Postfix may have ${processes === Infinity ? "any number of" : processes} smtp(8) processes`;
  if (unit?.descriptors === undefined)
    return skipped("clients", `${may}; the limits of the daemon are not known without its unit`);
  const clients = clientLimit(listeners, { limit: unit.descriptors, open: 0 });
  const text = `${may}, the daemon ${clients} clients for each listener`;
  if (processes <= clients) return ok("clients", text);
  const wanted = Number.isFinite(processes) ? processes * listeners + 1_024 : 65_536;
  return warning("clients", text, [
    `systemctl edit stsmapd  # [Service] LimitNOFILE=${Math.max(wanted, 65_536)}`,
    "systemctl restart stsmapd",
  ]);
}
