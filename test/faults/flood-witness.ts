/**
 * Ordinary work, measured in a thread of its own: that of the name server and of the flood is busy.
 *
 *     new Worker("flood-witness.ts", { workerData: { address, pid, seconds, known } })
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { Latencies } from "./load.ts";

interface Task {
  readonly address: string;
  readonly pid: number;
  readonly seconds: number;
  readonly known: readonly string[];
}

const { address, pid, seconds, known }: Task = workerData;
using relay = await SocketmapClient.connect(address);
using other = await SocketmapClient.connect(address);
const warm = new Latencies();
const cold = new Latencies();
let peak = 0;
const end = performance.now() + seconds * 1_000;
await Promise.all([askKnown(), askUnknown()]);
const shown = (latencies: Latencies) => `${latencies.at(0.5).toFixed(2)} / ${latencies.at(0.99).toFixed(2)}`;
const row = {
  "known p50 / p99 ms": shown(warm),
  "unknown p50 / p99 ms": shown(cold),
  "peak RSS MiB": Math.round(peak),
};
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(row);

async function askKnown(): Promise<void> {
  for (let index = 0; performance.now() < end; index++) {
    const { status } = await warm.time(() => relay.query("postfix", known[index % known.length] ?? ""));
    if (status !== "OK") throw new Error(`a known domain was answered ${status}`);
    peak = Math.max(peak, residentMiB());
    await sleep(5);
  }
}

async function askUnknown(): Promise<void> {
  while (performance.now() < end) {
    await cold.time(() => other.query("postfix", `${randomBytes(8).toString("hex")}.example`));
    await sleep(50);
  }
}

function residentMiB(): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return (pages * 4_096) / 2 ** 20;
}
