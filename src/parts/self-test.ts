/**
 * Whether the daemon answers, found out by asking it as Postfix does: what feeds the watchdog.
 *
 * It asks for a next hop that needs neither DNS nor the cache file. A restart mends neither of these, and would take away
 * the answers that memory still has.
 */
import type { OverdueLookups } from "../lookup/overdue-lookups.ts";
import { systemCode } from "../server/listen-error.ts";
import type { LookupServer } from "../server/listener.ts";
import { ask, LookupClientError } from "../server/lookup-client.ts";

/** A single label is no mail domain: it is not found, at once. */
const KEY = "localhost";

const NOT_FOUND = { socketmap: "NOTFOUND ", tcp_table: "500 " } as const;

/** Milliseconds after its deadline that an answer may be late: the loop may have been busy. */
const GRACE = 10_000;

/** We may not connect, or there is no way there, or no descriptor for it. Clients may still be answered. */
const CANNOT_ASK = new Set([
  "EACCES",
  "EPERM",
  "EMFILE",
  "ENFILE",
  "EADDRNOTAVAIL",
  "ENETUNREACH",
  "EHOSTUNREACH",
]);

export interface TestedListener {
  readonly listener: { readonly protocol: keyof typeof NOT_FOUND };
  readonly server: Pick<LookupServer, "address" | "target" | "isFull" | "isInherited">;
}

export interface SelfTestParts {
  readonly listeners: readonly TestedListener[];
  readonly lookups: Pick<OverdueLookups, "longestWait">;
  /** Milliseconds after which every lookup is answered. */
  readonly deadline: number;
}

/**
 * What is wrong, or undefined where all is well. Never rejects.
 *
 * @param timeout milliseconds that an answer may take
 */
export async function selfTest(parts: SelfTestParts, timeout: number): Promise<string | undefined> {
  const { listeners, lookups, deadline } = parts;
  const wait = lookups.longestWait();
  if (wait > deadline + GRACE) return `a question has been waiting for ${Math.round(wait / 1000)} s`;
  const failures = await Promise.all(listeners.map((listener) => failureOf(listener, timeout)));
  return failures.find((failure) => failure !== undefined);
}

async function failureOf({ listener, server }: TestedListener, timeout: number): Promise<string | undefined> {
  const { protocol } = listener;
  const { target, address } = server;
  if (target === undefined) return undefined;
  try {
    const reply = await ask({ protocol, server: target, map: "postfix", key: KEY, timeout });
    return reply.startsWith(NOT_FOUND[protocol]) ? undefined : `${address} answered ${JSON.stringify(reply)}`;
  } catch (error) {
    if (error instanceof LookupClientError && isSignOfLife(error, server)) return undefined;
    return `${address}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Whoever turns us away because others have all the places is at work. */
function isSignOfLife(error: LookupClientError, server: TestedListener["server"]): boolean {
  if (error.code === "closed") return server.isFull;
  if (error.code !== "unreachable") return false;
  const code = systemCode(error.cause);
  // The file of an inherited socket is not ours to make again.
  return CANNOT_ASK.has(code) || (code === "ENOENT" && server.isInherited);
}
