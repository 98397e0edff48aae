/** Runs one attack, in a process of its own so that it takes nothing from the well-behaved client's event loop. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Seen, Target } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";

interface Order {
  readonly name: string;
  readonly target: Target;
}

/** The process, as seen by its parent. Ends with an `await using` block. */
export class AttackerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts it; it does nothing yet. */
  static async start(): Promise<AttackerProcess> {
    const child = fork(import.meta.filename, { stdio: "inherit" });
    await once(child, "message");
    return new AttackerProcess(child);
  }

  attack(order: Order): void {
    this.#child.send(order);
  }

  /** Ends the attack; resolves with what the attacker saw, all its connections open still. */
  async stop(): Promise<Seen> {
    const done = once(this.#child, "message");
    this.#child.send("stop");
    const [seen]: Seen[] = await done;
    if (seen === undefined) throw new TypeError("an attacker that saw nothing");
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

if (import.meta.main) {
  const stop = new AbortController();
  let running: Promise<Seen> | undefined;
  const obey = async (order: Order | "stop"): Promise<void> => {
    if (order !== "stop") {
      running = ATTACKS.find(({ name }) => name === order.name)?.run(order.target, stop.signal);
      return;
    }
    stop.abort();
    process.send?.(await running);
  };
  process.on("message", (order: Order | "stop") => void obey(order));
  process.on("disconnect", () => process.exit());
  process.send?.("running");
}
