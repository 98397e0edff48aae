/** Runs the load generator (bench/load/) against a server. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { pinned } from "./machine.ts";
import { DOMAIN, type Protocol, UNKNOWN } from "./names.ts";
import { native } from "./native.ts";

/** What is asked, and how. */
export interface Load {
  /** Default: socketmap. */
  readonly protocol?: Protocol;
  readonly connections: number;
  /** Questions on each connection that await their answer; default: 1, as Postfix does. */
  readonly outstanding?: number;
  /** Questions after which a connection is closed and a new one opened. The first one's time includes connecting. */
  readonly each?: number;
  /** Further connections with one question outstanding, whose times are counted apart. */
  readonly probes?: number;
  /** Questions a second; each counts its time from when it was due. Default: the next as soon as one is answered. */
  readonly rate?: number;
  /** Questions in all; default: until the time is over. */
  readonly limit?: number;
  /** Domains that are asked for, at random. */
  readonly keys: number;
  /** The number of the first of them. */
  readonly first?: number;
  /** One after the other instead. */
  readonly inOrder?: boolean;
  /** The part (0 to 1) of questions for domains without a policy, each asked for once only. */
  readonly unknownPart?: number;
  /** The number of the first of these; default: 0. */
  readonly unknownFirst?: number;
  /** Before all else on its core, as only root may have it: who works there too would be in its times. */
  readonly ahead?: boolean;
  /** Seconds before anything is counted. */
  readonly warmUp?: number;
  readonly seconds: number;
}

/** Microseconds. */
interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LoadReport {
  readonly seconds: number;
  readonly replies: number;
  /** Replies that were not right to the last byte, and those of them that said "there is none". */
  readonly wrong: number;
  readonly notFound: number;
  /** Connections that the server ended or refused. */
  readonly broken: number;
  readonly unanswered: number;
  /** Connections without a single answer. */
  readonly silent: number;
  /** Replies a second. */
  readonly rate: number;
  /** Seconds of CPU in the time that counts. */
  readonly serverCpu: number;
  readonly loadCpu: number;
  readonly known: Times;
  readonly unknown: Times;
  readonly probes: Times;
}

/** Whom to ask. */
export interface Target {
  readonly pid: number;
  readonly ports: Readonly<Partial<Record<Protocol, number>>>;
  /** Replies without their framing, `#` standing for the domain's number. */
  readonly replies: Readonly<Record<Protocol, { readonly known: string; readonly unknown: string }>>;
}

/** Everything that keeps a run from being right. */
export function faults(report: LoadReport): number {
  return report.wrong + report.broken + report.unanswered + report.silent;
}

/** CPU milliseconds of the server for 100,000 lookups. */
export function cpuPer100k({ serverCpu, replies }: LoadReport): number {
  return (serverCpu * 1e8) / replies;
}

export async function runLoad(target: Target, load: Load): Promise<LoadReport> {
  const { protocol = "socketmap", inOrder = false } = load;
  const reply = target.replies[protocol];
  const values = {
    port: target.ports[protocol],
    pid: target.pid,
    protocol,
    connections: load.connections,
    outstanding: load.outstanding,
    each: load.each,
    probes: load.probes,
    rate: load.rate,
    limit: load.limit,
    keys: load.keys,
    first: load.first,
    "warm-up": load.warmUp,
    seconds: load.seconds,
    key: DOMAIN,
    reply: reply.known,
    "unknown-part": load.unknownPart,
    "unknown-first": load.unknownFirst,
    "unknown-key": UNKNOWN,
    "unknown-reply": reply.unknown,
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const options = given.map(([name, value]) => `--${name}=${value}`);
  const [command = "", ...args] = pinned("load", [
    // One above the priority of `--alone`.
    ...(load.ahead === true ? ["chrt", "--fifo", "2"] : []),
    native("load"),
    ...options,
    ...(inOrder ? ["--in-order"] : []),
  ]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (child.exitCode !== 0) throw new Error(`the load generator ended with ${child.exitCode}`);
  const report: LoadReport = JSON.parse(output);
  return report;
}
