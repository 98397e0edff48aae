/** What the daemon says of itself on its admin socket. */
import type { Config } from "../../config.ts";
import type { ListeningHealth } from "../../parts/health.ts";
import { VERSION } from "../../version.ts";
import { AdminClient, AdminClientError } from "../admin-client.ts";
import type { AdminClientErrorCode } from "../admin-client.ts";
import { ok, problem, skipped, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { Listening } from "./listening.ts";

export type Readiness =
  | {
      readonly kind: "answered";
      readonly state: string;
      readonly version: string;
      readonly problems: readonly string[];
      /** Empty where a daemon of another version does not say. */
      readonly listen: readonly Served[];
    }
  | { readonly kind: "no-socket" }
  | { readonly kind: "failed"; readonly code: AdminClientErrorCode; readonly reason: string };

/** Asks the admin socket for /readyz. */
export async function gatherReadiness(
  { admin: { socket } }: Config,
  signal: AbortSignal,
): Promise<Readiness> {
  if (socket === undefined) return { kind: "no-socket" };
  try {
    const health = await new AdminClient(socket).health(signal);
    return {
      kind: "answered",
      state: String(field(health, "state")),
      version: String(field(health, "version")),
      problems: listOf(health, "problems").map(String),
      listen: listOf(health, "listen").map((item) => ({
        protocol: String(field(item, "protocol")),
        address: String(field(item, "address")),
        configured: String(field(item, "configured")),
      })),
    };
  } catch (error) {
    if (!(error instanceof AdminClientError)) throw error;
    return { kind: "failed", code: error.code, reason: error.message };
  }
}

/** As the daemon, whatever its version, writes {@link ListeningHealth}. */
export type Served = Readonly<Record<keyof ListeningHealth, string>>;

function field(
  value: unknown,
  name: keyof ListeningHealth | "state" | "version" | "problems" | "listen",
): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function listOf(value: unknown, name: "problems" | "listen"): unknown[] {
  const list = field(value, name);
  return Array.isArray(list) ? list : [];
}

export function judgeReadiness(readiness: Readiness, { stale }: Pick<Listening, "stale">): Finding {
  switch (readiness.kind) {
    case "no-socket":
      return skipped("readiness", "admin.socket is none");
    case "failed":
      if (readiness.code === "denied") return unknown("readiness", readiness.reason, "# run this as root");
      return warning("readiness", `the admin socket does not answer: ${readiness.reason}`, [RESTART]);
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
    return warning("readiness", `the daemon is version ${version}, this command ${VERSION}`, [RESTART]);
  if (stale !== undefined) {
    const text = `the daemon listens on ${stale.served.join(", ")}, but the configuration says ${stale.configured.join(", ")}`;
    return warning("readiness", text, [RESTART]);
  }
  return ok("readiness", `ready, version ${version}`);
}

const RESTART = "systemctl restart stsmapd";
