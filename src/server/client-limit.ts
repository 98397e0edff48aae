/** How many clients may be connected: as many as there are descriptors, less what the daemon needs itself. */
import { readdirSync, readFileSync } from "node:fs";

/** Descriptors for DNS (up to 512 queries at once), policy hosts (64 fetches, each with several attempts) and files. */
const RESERVE = 1_024;

/** The limit of a process where nobody changed it. */
const USUAL_LIMIT = 1_024;

/** Descriptors of a process. */
export interface Descriptors {
  /** How many it may have. */
  readonly limit: number;
  /** How many it has. */
  readonly open: number;
}

/**
 * The clients that each of `servers` servers may have, at least 1; `of` are those of the process, by default this one. Without descriptors the system would take connections
 * and close them without a word, and neither name servers nor policy hosts could be asked.
 */
export function clientLimit(servers = 1, { limit, open }: Descriptors = descriptors()): number {
  const free = limit - open;
  const forClients = free - Math.min(RESERVE, free / 2);
  return Math.max(1, Math.floor(forClients / servers));
}

function descriptors(): Descriptors {
  try {
    const text = readFileSync("/proc/self/limits", "latin1");
    const soft = /^Max open files +(\d+|unlimited)/m.exec(text)?.[1] ?? String(USUAL_LIMIT);
    const limit = soft === "unlimited" ? Infinity : Number(soft);
    return { limit, open: readdirSync("/proc/self/fd").length };
  } catch {
    return { limit: USUAL_LIMIT, open: 0 };
  }
}
