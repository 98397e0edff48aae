/** Whether the daemon answers: on its listeners, and on its admin socket for itself. */
import { request } from "node:http";
import { json } from "node:stream/consumers";
import type { Config, Listener } from "../../config.ts";
import { formatListenAddress } from "../../net/listen-address.ts";
import { VERSION } from "../../version.ts";
import { ask, LookupClientError } from "../lookup-client.ts";
import { ok, problem, skipped, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { PROBE_KEY } from "./postmap.ts";

/** What asking one listener came to. */
export interface ListenerAnswer {
  /** As the configuration writes it. */
  readonly address: string;
  /** Undefined where there was a reply. */
  readonly failure: { readonly reason: string; readonly denied: boolean } | undefined;
  readonly milliseconds: number;
}

/** @param timeout milliseconds; @param uptime milliseconds that only ever pass */
export async function askListeners(
  { listen }: Pick<Config, "listen">,
  timeout: number,
  uptime: () => number,
): Promise<ListenerAnswer[]> {
  return Promise.all(
    listen.map(async (listener) => {
      const start = uptime();
      const failure = await failureOf(listener, timeout);
      return { address: formatListenAddress(listener.address), failure, milliseconds: uptime() - start };
    }),
  );
}

async function failureOf(listener: Listener, timeout: number): Promise<ListenerAnswer["failure"]> {
  const { protocol, address } = listener;
  const server =
    address.kind === "unix" ? { path: address.path } : { host: reachable(address.host), port: address.port };
  try {
    await ask({ protocol, server, map: "postfix", key: PROBE_KEY, timeout });
    return undefined;
  } catch (error) {
    if (!(error instanceof LookupClientError)) throw error;
    const denied = error.cause instanceof Error && "code" in error.cause && error.cause.code === "EACCES";
    return { reason: error.message, denied };
  }
}

/** Milliseconds above which an answer from memory is no longer what it should be. */
const SLOW = 5_000;

export function judgeListeners(answers: readonly ListenerAnswer[]): Finding {
  const failed = answers.filter(({ failure }) => failure !== undefined);
  const said = failed.map(({ address, failure }) => `${address}: ${failure?.reason}`).join("; ");
  const slowest = Math.max(...answers.map(({ milliseconds }) => milliseconds));
  if (failed.length > 0 && failed.every(({ failure }) => failure?.denied === true))
    return unknown("daemon", said, "# run this as root");
  if (failed.length > 0) {
    const isDown = failed.length === answers.length;
    return problem("daemon", `no answer, so that Postfix defers mail: ${said}`, [
      `systemctl ${isDown ? "start" : "restart"} stsmapd`,
      "journalctl -u stsmapd -n 20",
    ]);
  }
  const addresses = answers.map(({ address }) => address).join(", ");
  const text = `answers on ${addresses} within ${Math.ceil(slowest)} ms`;
  if (slowest > SLOW)
    return warning("daemon", `${text}, which is slow`, ["# see what the machine is busy with: top"]);
  return ok("daemon", text);
}

export type Readiness =
  | {
      readonly kind: "answered";
      readonly state: string;
      readonly version: string;
      readonly problems: readonly string[];
    }
  | { readonly kind: "no-socket" }
  | { readonly kind: "failed"; readonly code: string; readonly reason: string };

/** Asks the admin socket for /readyz. Never rejects. */
export async function gatherReadiness(
  { admin: { socket } }: Config,
  signal: AbortSignal,
): Promise<Readiness> {
  if (socket === undefined) return { kind: "no-socket" };
  try {
    const body = await get(socket, "/readyz", signal);
    const field = (name: string): unknown =>
      typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
    const problems = field("problems");
    return {
      kind: "answered",
      state: String(field("state")),
      version: String(field("version")),
      problems: Array.isArray(problems) ? problems.map(String) : [],
    };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return { kind: "failed", code, reason: error instanceof Error ? error.message : String(error) };
  }
}

export function judgeReadiness(readiness: Readiness): Finding {
  switch (readiness.kind) {
    case "no-socket":
      return skipped("readiness", "admin.socket is none");
    case "failed":
      if (readiness.code === "EACCES") return unknown("readiness", readiness.reason, "# run this as root");
      return warning("readiness", `the admin socket does not answer: ${readiness.reason}`, [
        "systemctl restart stsmapd",
      ]);
    case "answered":
      break;
  }
  const { state, version, problems } = readiness;
  if (state === "degraded")
    return problem("readiness", `the daemon says of itself: ${problems.join(", ")}`, [
      "journalctl -u stsmapd -p warning -n 20",
    ]);
  if (state !== "ok") return warning("readiness", `the daemon is ${state}`, ["# run this again in a moment"]);
  if (version !== VERSION)
    return warning("readiness", `the daemon is version ${version}, this command ${VERSION}`, [
      "systemctl restart stsmapd",
    ]);
  return ok("readiness", `ready, version ${version}`);
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const call = request({ socketPath, path, agent: false, signal });
  call.on("response", (response) => resolve(json(response)));
  call.on("error", reject);
  call.end();
  return promise;
}

function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
