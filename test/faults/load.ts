/** Questions at a steady rate, as a busy relay asks them, and how long the answers took. */
import { setTimeout as sleep } from "node:timers/promises";
import { SocketmapClient, type SocketmapReply } from "../helpers/postfix-client.ts";

/** Milliseconds between two bursts of a steady rate. */
const TICK = 10;

/** Connections as Postfix has them: one question outstanding on each, one more where all are busy. */
export class Clients implements Disposable {
  readonly #address: string;
  readonly #idle: SocketmapClient[] = [];
  readonly #all: SocketmapClient[] = [];

  constructor(address: string) {
    this.#address = address;
  }

  get connections(): number {
    return this.#all.length;
  }

  async ask(domain: string): Promise<SocketmapReply> {
    const client = this.#idle.pop() ?? (await this.#connect());
    const reply = await client.query("postfix", domain);
    this.#idle.push(client);
    return reply;
  }

  [Symbol.dispose](): void {
    for (const client of this.#all) client[Symbol.dispose]();
  }

  async #connect(): Promise<SocketmapClient> {
    const client = await SocketmapClient.connect(this.#address);
    this.#all.push(client);
    return client;
  }
}

/** What answers took, in milliseconds. */
export class Latencies {
  readonly #all: number[] = [];

  get count(): number {
    return this.#all.length;
  }

  async time<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    this.#all.push(performance.now() - start);
    return result;
  }

  /** The time that the part `part` (0 to 1) of all did not exceed. */
  at(part: number): number {
    this.#all.sort((a, b) => a - b);
    return this.#all[Math.min(Math.floor(this.#all.length * part), this.#all.length - 1)] ?? 0;
  }

  summary(): string {
    const [p50, p99, max] = [0.5, 0.99, 1].map((part) => this.at(part).toFixed(2));
    return `${this.count} answers, p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
  }
}

/** Calls `act` with 0, 1, 2, … `rate` times a second for `duration` milliseconds; resolves when all calls did. */
export async function steadily(
  rate: number,
  duration: number,
  act: (index: number) => Promise<void>,
): Promise<void> {
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let elapsed = 0; elapsed < duration; elapsed = performance.now() - start) {
    const due = Math.floor((elapsed / 1000) * rate);
    while (running.length < due) running.push(act(running.length));
    await sleep(TICK);
  }
  await Promise.all(running);
}

/** Prints each claim with its figures, and sets the exit status when one is false. */
export function claim(text: string, holds: boolean): void {
  console.log(`${holds ? "ok" : "FALSE"}  ${text}`);
  if (!holds) process.exitCode = 1;
}
