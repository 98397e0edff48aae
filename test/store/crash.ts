/**
 * Kills a writing process at random moments and looks whether all that it said to be on disk is there, unchanged.
 * By hand: `node test/store/crash.ts 200 [folder]`.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openStore } from "../../src/store/open-store.ts";
import type { Entry } from "../../src/store/store.ts";
import { entry, failure, pin, temporaryFolder } from "./entries.ts";

const CHILD = fileURLToPath(new URL("crash-child.ts", import.meta.url));

/** A row that can be told from every other by its domain alone. */
export function crashEntry(domain: string): Entry {
  return entry(domain, { pin: pin({ mx: [`mx.${domain}`] }), failure: failure({ detail: domain }) });
}

/** Runs `rounds` on one file; answers with the number of rows told and found. Throws at the first that is lost or changed. */
export async function crashRounds(path: string, rounds: number): Promise<number> {
  const told: string[] = [];
  for (let round = 0; round < rounds; round++) {
    told.push(...(await writeAndKill(path, round)));
    let damaged = false;
    const store = openStore({ path, now: () => 0, onSetAside: () => (damaged = true) });
    const lost = told.filter((domain) => !isDeepStrictEqual(store.get(domain), crashEntry(domain)));
    await store.close();
    if (damaged) throw new Error(`round ${round}: the file was damaged`);
    if (lost.length > 0) throw new Error(`round ${round}: lost or changed: ${lost.join(" ")}`);
  }
  return told.length;
}

async function writeAndKill(path: string, round: number): Promise<string[]> {
  const child = spawn(process.execPath, [CHILD, path, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const told: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => told.push(line));
  await Promise.race([once(lines, "line"), closed]);
  await delay(randomInt(1, 150));
  child.kill("SIGKILL");
  await closed;
  if (child.signalCode !== "SIGKILL") throw new Error(`the child ended by itself: ${child.exitCode}`);
  // A line cut in two by the kill was never told.
  return told.filter((line) => line.endsWith(".example"));
}

if (import.meta.main) {
  const folder = temporaryFolder();
  const rounds = Number(process.argv[2] ?? 200);
  const told = await crashRounds(join(process.argv[3] ?? folder.path, "crash.sqlite"), rounds);
  console.log(`${rounds} kills, ${told} rows told, none lost`);
  folder.remove();
}
