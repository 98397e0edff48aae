import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Nothing of the caller's environment (proxies, certificate files, Postfix settings) reaches the world. */
const bareEnvironment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", HOME: "/root" };

export interface Result {
  /** Exit status; -1 when a signal ended the command. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a command to its end. Throws only when it cannot be started. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...bareEnvironment, ...options.env },
    stdio: "pipe",
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  // A command that ends without reading its input is no failure of ours.
  child.stdin.on("error", () => {}).end(options.input ?? "");
  const code = await exitStatus(child);
  return { code, ...output };
}

/** Runs a command that has to succeed, and returns its standard output. Throws with what it printed otherwise. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const result = await run(command, args, options);
  if (result.code !== 0) {
    throw new Error(
      `${command} ${args.join(" ")} ended with ${result.code}: ${result.stderr}${result.stdout}`,
    );
  }
  return result.stdout;
}

/** Runs a command on our own terminal and returns its exit status. It ends when we are told to. */
export async function runInTerminal(command: string, args: readonly string[], env = {}): Promise<number> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: "inherit" });
  const end = () => child.kill("SIGKILL");
  for (const signal of ["SIGTERM", "SIGHUP"]) process.once(signal, end);
  // Ctrl-C reaches the whole foreground group: the command ends by itself, and we after it.
  process.on("SIGINT", () => {});
  return exitStatus(child);
}

/** Waits until a command has ended and its output is complete. */
function exitStatus(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
  });
}

/** A long-running program of the world, its output in a file. */
export class Daemon {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #logPath: string;

  private constructor(name: string, child: ChildProcess, logPath: string) {
    this.#name = name;
    this.#child = child;
    this.#logPath = logPath;
  }

  /** Starts a program in the foreground; what it prints is appended to the file `logPath`. */
  static async start(
    command: string,
    args: readonly string[],
    logPath: string,
    options: Omit<RunOptions, "input"> = {},
  ): Promise<Daemon> {
    const log = await open(logPath, "a");
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...bareEnvironment, ...options.env },
      stdio: ["ignore", log.fd, log.fd],
    });
    await once(child, "spawn");
    await log.close();
    return new Daemon(command, child, logPath);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits until the program has ended, and returns its exit status; null when a signal ended it. */
  async ended(): Promise<number | null> {
    if (this.running) await once(this.#child, "exit");
    return this.#child.exitCode;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends the program and waits for that; what does not obey within ten seconds is killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.running) return;
    const exit = once(this.#child, "exit");
    this.#child.kill(signal);
    const stubborn = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await exit;
    clearTimeout(stubborn);
  }

  /** Waits until `probe` is true. Throws, with what the program printed last, when it ends before that. */
  async ready(probe: () => Promise<boolean>): Promise<void> {
    await eventually(`${this.#name} to be ready`, async () => {
      if (this.running) return probe();
      const output = await readFile(this.#logPath, "utf8");
      throw new Error(`${this.#name} ended instead of becoming ready: ${output.slice(-2000)}`);
    });
  }
}

/** Waits until `probe` returns something other than false or undefined, and returns that. Throws after `timeout` ms. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | false | undefined>,
  timeout = 20_000,
): Promise<T> {
  const end = performance.now() + timeout;
  for (;;) {
    const value = await probe();
    if (value !== false && value !== undefined) return value;
    if (performance.now() > end) throw new Error(`waited ${timeout} ms in vain for ${what}`);
    await sleep(25);
  }
}
