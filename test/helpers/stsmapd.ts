/** The program as a process of its own, told of the world by a configuration file. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type HeldSocket, listenVariables } from "./held-socket.ts";
import type { World } from "./world.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder that is the home of what runs in it, and removed at the end. */
export class Home implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "stsmapd-home-"));

  /** Writes a file and returns its path. */
  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  /** The part of a configuration that leads to the name server and the policy hosts of `world`. */
  network({ dns, host, ca }: Pick<World, "dns" | "host" | "ca">): string {
    const roots = this.write("ca.pem", ca.pem);
    return [
      `dns: { servers: ["${dns.hostPort}"], timeout: 2s, attempts: 1 }`,
      `fetch: { port: ${host.port}, allow_addresses: [127.0.0.0/8], ca_file: ${roots}, proxy: none }`,
      "",
    ].join("\n");
  }

  /** Nothing of our own environment gets in. */
  environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { HOME: this.path, ...extra };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Runs a command to its end; `main` is the checkout's program, or one that was built. */
export async function stsmapd(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  main = MAIN,
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [main, ...args], { env }, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === "number") resolve({ status, stdout, stderr });
      else reject(error);
    });
  });
}

interface HowToStart {
  /** Another executable than that of src/. */
  readonly main?: string;
  /** Lines of sh(1) that run before it. */
  readonly before?: string;
  /** Handed down as systemd does. */
  readonly sockets?: readonly HeldSocket[];
}

/** One line of its log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** `stsmapd serve`, running. Killed at the end of an `await using` block. */
export class Daemon implements AsyncDisposable {
  readonly log: LogLine[] = [];
  /** How it ended. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #process: ChildProcess;
  #ended = false;
  /** Called when there is something new. */
  #wake: () => void = () => {};

  private constructor(child: ChildProcess) {
    this.#process = child;
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    const lines = createInterface({ input: child.stdout! });
    lines.on("line", (line) => {
      this.log.push(JSON.parse(line));
      this.#wake();
    });
    lines.once("close", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Starts it and waits until it is ready. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv, how: HowToStart = {}): Promise<Daemon> {
    const daemon = await Daemon.spawn(args, env, how);
    await daemon.logged("ready");
    return daemon;
  }

  /** The process, which has yet to start. */
  static async spawn(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    { main = MAIN, before = "", sockets = [] }: HowToStart = {},
  ): Promise<Daemon> {
    // Sockets are meant for one process only, whose number is known when it is there: the shell becomes it.
    const child = spawn(
      "/bin/sh",
      ["-c", `${before}\nLISTEN_PID=$$ exec "$0" "$@"`, process.execPath, main, "serve", ...args],
      {
        env: { ...env, ...listenVariables(sockets) },
        stdio: ["ignore", "pipe", "inherit", ...sockets.map(({ fd }) => fd)],
      },
    );
    await once(child, "spawn");
    return new Daemon(child);
  }

  /** Where it listens. */
  get addresses(): readonly string[] {
    const listen = this.log.find(({ msg }) => msg === "ready")?.["listen"];
    return Array.isArray(listen) ? listen.map(String) : [];
  }

  /** The first line with this message, once it is there. */
  async logged(message: string): Promise<LogLine> {
    for (;;) {
      const line = this.log.find(({ msg }) => msg === message);
      if (line !== undefined) return line;
      if (this.#ended) throw new Error(`ended after ${JSON.stringify(this.log)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  get pid(): number {
    return this.#process.pid!;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.exited;
  }
}
