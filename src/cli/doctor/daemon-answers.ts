/** Whether the daemon answers on its listeners. */
import { formatListenAddress } from "../../net/listen-address.ts";
import { ask, LookupClientError } from "../../server/lookup-client.ts";
import { ok, problem, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { LIST_SOCKETS } from "./listening.ts";
import type { KnownListener, Listening } from "./listening.ts";
import { PROBE_KEY } from "./postmap.ts";

/** What asking one listener came to. */
export interface ListenerAnswer {
  readonly address: string;
  /** Undefined where there was a reply. */
  readonly failure: { readonly reason: string; readonly denied: boolean } | undefined;
  readonly milliseconds: number;
}

/** @param timeout milliseconds; @param uptime milliseconds that only ever pass */
export async function askListeners(
  { listeners }: Listening,
  timeout: number,
  uptime: () => number,
): Promise<ListenerAnswer[]> {
  return Promise.all(
    listeners.map(async (listener) => {
      const start = uptime();
      const failure = await failureOf(listener, timeout);
      return { address: formatListenAddress(listener.address), failure, milliseconds: uptime() - start };
    }),
  );
}

async function failureOf(listener: KnownListener, timeout: number): Promise<ListenerAnswer["failure"]> {
  const { protocol, address } = listener;
  const server =
    address.kind === "unix" ? { path: address.path } : { host: reachable(address.host), port: address.port };
  try {
    const reply = await ask({ protocol, server, map: "postfix", key: PROBE_KEY, timeout });
    // Another daemon may have taken the address, and ours may be ending.
    if (/^(?:NOTFOUND|500) /.test(reply)) return undefined;
    return { reason: `"${reply.trimEnd()}" is not the answer of a daemon at work`, denied: false };
  } catch (error) {
    if (!(error instanceof LookupClientError)) throw error;
    const denied = error.cause instanceof Error && "code" in error.cause && error.cause.code === "EACCES";
    return { reason: error.message, denied };
  }
}

/** Milliseconds above which an answer from memory is no longer what it should be. */
const SLOW = 5_000;

export function judgeListeners(
  answers: readonly ListenerAnswer[],
  { unknown: hidden }: Pick<Listening, "unknown">,
): Finding {
  const failed = answers.filter(({ failure }) => failure !== undefined);
  const said = failed.map(({ address, failure }) => `${address}: ${failure?.reason}`).join("; ");
  const slowest = Math.max(0, ...answers.map(({ milliseconds }) => milliseconds));
  if (failed.length > 0 && failed.every(({ failure }) => failure?.denied === true))
    return unknown("daemon", said, "# run this as root");
  if (failed.length > 0) {
    const isDown = failed.length === answers.length;
    return problem("daemon", `no answer, so that Postfix defers mail: ${said}`, [
      `systemctl ${isDown ? "start" : "restart"} stsmapd`,
      "journalctl -u stsmapd -n 20",
    ]);
  }
  if (hidden.length > 0)
    return unknown("daemon", `where ${hidden.join(", ")} is, the daemon could not be asked`, LIST_SOCKETS);
  const addresses = answers.map(({ address }) => address).join(", ");
  const text = `answers on ${addresses} within ${Math.ceil(slowest)} ms`;
  if (slowest > SLOW)
    return warning("daemon", `${text}, which is slow`, ["# see what the machine is busy with: top"]);
  return ok("daemon", text);
}

function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
