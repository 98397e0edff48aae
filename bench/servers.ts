/** The servers that are measured: ours as it is shipped, the bare one, and the one from Debian. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { NODE_FLAGS } from "../test/helpers/unit.ts";
import { BARE_REPLY } from "./bare-server.ts";
import { freePort } from "./free-port.ts";
import type { Target } from "./load.ts";
import { pinned } from "./machine.ts";
import { domainOf, REPLIES } from "./names.ts";
import { native } from "./native.ts";
import type { World } from "./world.ts";

export const STSMAPD = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const BARE = fileURLToPath(new URL("bare-server.ts", import.meta.url));
const TRIVIAL_REPLY = "OK something";

/** Milliseconds between two attempts to reach a server that starts. */
const POLL = 0.5;

/** Milliseconds after which a server that does not answer is given up. */
const START_TIMEOUT = 30_000;

/** A running server. */
export class Server implements Target, AsyncDisposable {
  readonly name: string;
  readonly ports: Target["ports"];
  readonly replies: Target["replies"];
  /** The path of its configuration, and the port of its metrics: stsmapd's only. */
  readonly config: string;
  readonly metricsPort: number;
  /** Milliseconds from its start to its first answer. */
  readonly startUp: number;
  readonly #process: ChildProcess;

  constructor(process: ChildProcess, startUp: number, command: Command) {
    this.#process = process;
    this.startUp = startUp;
    this.name = command.name;
    this.ports = command.ports;
    this.replies = command.replies;
    this.config = command.config ?? "";
    this.metricsPort = command.metricsPort ?? 0;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resident memory in MiB. */
  get rss(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  /** Stops it in its tracks, or lets it go on. */
  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

interface Command {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ports: Target["ports"];
  readonly replies: Target["replies"];
  /** Where its output goes. */
  readonly log: string;
  readonly config?: string;
  readonly metricsPort?: number;
  /** What it is asked first; default: domain 0. */
  readonly firstKey?: string;
}

export interface StsmapdOptions {
  readonly folder: string;
  readonly world: World;
  /** The cache file. */
  readonly store: string;
  readonly memoryEntries?: number;
  /** Further sections of the configuration. */
  readonly config?: Readonly<Record<string, object>>;
  readonly name?: string;
  /** What it is asked first; default: domain 0, which every filled store has. */
  readonly firstKey?: string;
}

export async function startStsmapd(options: StsmapdOptions): Promise<Server> {
  const { folder, world, store, memoryEntries = 20_000, name = "stsmapd" } = options;
  const ports = { socketmap: await freePort(), tcp_table: await freePort() };
  const metricsPort = await freePort();
  const config = join(folder, `${name}.yaml`);
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, world.ca);
  const listeners = Object.entries(ports).map(([protocol, port]) => ({
    protocol,
    address: `127.0.0.1:${port}`,
  }));
  const networks = ["127.0.0.0/8", "10.99.0.0/16"];
  // JSON is YAML.
  const text = JSON.stringify({
    listen: listeners,
    store: { path: store, memory_entries: memoryEntries },
    dns: { servers: [world.dns] },
    fetch: { port: world.httpsPort, ca_file: ca, allow_addresses: networks, proxy: "none" },
    admin: { socket: join(folder, `${name}.sock`) },
    metrics: { listen: `127.0.0.1:${metricsPort}` },
    ...options.config,
  });
  writeFileSync(config, text);
  return start({
    name,
    // As the unit starts it.
    command: [process.execPath, ...NODE_FLAGS, STSMAPD, "serve", "--config", config],
    env: { NODE_COMPILE_CACHE: compileCache(folder) },
    ports,
    replies: REPLIES,
    log: join(folder, `${name}.log`),
    config,
    metricsPort,
    ...(options.firstKey === undefined ? {} : { firstKey: options.firstKey }),
  });
}

/** The folder with what Node compiled of stsmapd, which the package makes when it is installed: here, before the first start. */
function compileCache(folder: string): string {
  const cache = join(folder, "compile-cache");
  const load = ["--require", join(dirname(STSMAPD), "serve.js"), STSMAPD, "--version"];
  if (!existsSync(cache)) {
    execFileSync(process.execPath, [...NODE_FLAGS, ...load], { env: { NODE_COMPILE_CACHE: cache } });
  }
  return cache;
}

export async function startBare(folder: string): Promise<Server> {
  const ports = { socketmap: await freePort() };
  // What is measured with it starts as JavaScript: to strip types takes Node longer than to start, and 20 MiB.
  const program = join(folder, "bare-server.mjs");
  writeFileSync(program, stripTypeScriptTypes(readFileSync(BARE, "utf8")));
  const command = [process.execPath, program, String(ports.socketmap)];
  return start({
    name: "bare Node",
    command,
    ports,
    replies: constant(BARE_REPLY),
    log: join(folder, "bare.log"),
  });
}

export async function startTrivial(folder: string): Promise<Server> {
  const ports = { socketmap: await freePort() };
  const command = [native("trivial-server"), String(ports.socketmap)];
  return start({
    name: "trivial C",
    command,
    ports,
    replies: constant(TRIVIAL_REPLY),
    log: join(folder, "trivial.log"),
  });
}

const MTA_STS_DAEMON = "/usr/bin/mta-sts-daemon";

/** What keeps postfix-mta-sts-resolver from being measured; undefined when nothing does. */
export function missingForMtaStsDaemon(isRoot: boolean): string | undefined {
  if (!existsSync(MTA_STS_DAEMON)) return "not measured: apt-get install postfix-mta-sts-resolver";
  return isRoot
    ? undefined
    : "not measured: it asks DNS on port 53, and only root may have a world with that";
}

/** `sqlite`: its cache file; otherwise it remembers in memory. What it knows never grows stale. */
export async function startMtaStsDaemon(folder: string, world: World, sqlite?: string): Promise<Server> {
  const name = sqlite === undefined ? "mta-sts-daemon" : "mta-sts-daemon, SQLite";
  const ports = { socketmap: await freePort() };
  const file = join(folder, sqlite === undefined ? "mta-sts" : "mta-sts-sqlite");
  const cache =
    sqlite === undefined
      ? { type: "internal", options: { cache_size: 2_000_000 } }
      : { type: "sqlite", options: { filename: sqlite } };
  const zone = { strict_testing: false, timeout: 4 };
  const config = { host: "127.0.0.1", port: ports.socketmap, cache_grace: 1e8, cache, default_zone: zone };
  writeFileSync(`${file}.yml`, JSON.stringify(config));
  writeFileSync(`${file}.pem`, world.ca);
  return start({
    name,
    command: [MTA_STS_DAEMON, "--config", `${file}.yml`],
    env: { SSL_CERT_FILE: `${file}.pem` },
    ports,
    replies: REPLIES,
    log: `${file}.log`,
  });
}

function constant(reply: string): Target["replies"] {
  const both = { known: reply, unknown: reply };
  return { socketmap: both, tcp_table: both };
}

async function start(command: Command): Promise<Server> {
  const [program = "", ...args] = pinned("server", command.command);
  const log = openSync(command.log, "w");
  const begin = performance.now();
  const env = { PATH: process.env["PATH"], ...command.env };
  const child = spawn(program, args, { env, stdio: ["ignore", log, log] });
  closeSync(log);
  try {
    const startUp = await firstAnswer(command, child, begin);
    if (command.metricsPort !== undefined) await opened(command.metricsPort);
    return new Server(child, startUp, command);
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${command.name}: ${readFileSync(command.log, "utf8").slice(-2000)}`, { cause: error });
  }
}

/** Tries to connect again and again until there is an answer; returns the milliseconds since `begin`. */
async function firstAnswer(
  { ports, firstKey = domainOf(0) }: Command,
  child: ChildProcess,
  begin: number,
): Promise<number> {
  while (performance.now() - begin < START_TIMEOUT) {
    if (await answers(ports.socketmap ?? 0, firstKey)) return performance.now() - begin;
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    await sleep(POLL);
  }
  throw new Error("no answer");
}

/** The page of metrics comes a moment after the first answer. */
async function opened(port: number): Promise<void> {
  const begin = performance.now();
  while (performance.now() - begin < START_TIMEOUT) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(POLL);
  }
  throw new Error(`nobody listens on port ${port}`);
}

async function answers(port: number, key: string): Promise<boolean> {
  const content = `postfix ${key}`;
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => socket.write(`${content.length}:${content},`));
    socket.on("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
  });
}
