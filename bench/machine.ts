/** The machine we run on, and which of its cores does what. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release } from "node:os";

/** Load, name server and policy hosts. */
const LOAD_CORE = 0;
/** The server that is measured, alone. */
const SERVER_CORE = 1;

export type Role = "load" | "server";

/** The command, kept on the core of its role. On a machine with one core nothing is kept anywhere. */
export function pinned(role: Role, command: readonly string[]): readonly string[] {
  if (cpus().length < 2) return command;
  return ["taskset", "--cpu-list", String(role === "load" ? LOAD_CORE : SERVER_CORE), ...command];
}

export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly cpu: string;
  readonly cores: number;
  readonly kernel: string;
  readonly node: string;
  /** Load average of the last minute, before and after. */
  readonly load: readonly number[];
}

/** Where and when this is. `before`: the load average at the start. */
export function describeMachine(before: number): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    commit: commit(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    load: [before, loadAverage()],
  };
}

/** Processes that wanted a core, averaged over the last minute. */
export function loadAverage(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

function commit(): string {
  try {
    return (
      git("rev-parse", "--short=10", "HEAD") +
      (git("status", "--porcelain", "src") === "" ? "" : " and changes")
    );
  } catch {
    return "unknown";
  }
}

function git(...args: readonly string[]): string {
  return execFileSync("git", ["-c", "safe.directory=*", ...args], { encoding: "utf8" }).trim();
}
