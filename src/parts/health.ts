/** Whether the daemon can answer, and how its parts are: what /readyz says, and SIGUSR1. */
import { formatAddress } from "../config.ts";
import type { Config, Listener } from "../config.ts";
import type { ObservedLookups } from "../events/lookup-events.ts";
import type { DnsWatch } from "../events/network-events.ts";
import type { ValidationMonitor } from "../lookup/dane/validation-monitor.ts";
import type { ValidationState } from "../net/dns/ad-trust.ts";
import type { Health } from "../server/health-routes.ts";
import { freeSpace } from "../store/free-space.ts";
import type { PolicyStore } from "../store/store.ts";
import { VERSION } from "../version.ts";
import type { RunningListener } from "./servers.ts";

export type Phase = "starting" | "serving" | "stopping";

const PROBLEMS = [
  "store-not-writable",
  "store-not-readable",
  "resolver-not-answering",
  "resolver-not-validating",
] as const;

type HealthProblem = (typeof PROBLEMS)[number];

/** A socket on which lookups are answered. */
export interface ListeningHealth {
  readonly protocol: Listener["protocol"];
  /** Where it is, with the port that was chosen for 0; `systemd:NAME` where that cannot be found out. */
  readonly address: string;
  /** As the configuration in force writes it; several sockets of systemd may share a name. */
  readonly configured: string;
}

/** Times are ISO 8601. */
export interface HealthReport extends Health {
  readonly version: string;
  /** `degraded`: it answers, but the administrator is needed. */
  readonly state: "starting" | "ok" | "degraded" | "stopping";
  /** What is wrong; empty unless degraded. */
  readonly problems: readonly HealthProblem[];
  readonly listen: readonly ListeningHealth[];
  readonly store: {
    readonly writable: boolean;
    readonly readable: boolean;
    readonly last_error: { readonly code: string; readonly message: string } | null;
  };
  readonly disk: { readonly free_bytes: number | null };
  readonly resolver: {
    readonly answering: boolean;
    readonly last_answer: string | null;
    readonly last_failure: { readonly at: string; readonly code: string } | null;
  };
  readonly validating: ValidationState;
  /** Of a policy; the result is `fetched` or why not. */
  readonly last_fetch: { readonly at: string; readonly result: string } | null;
}

export interface HealthParts {
  readonly store: Pick<PolicyStore, "health">;
  readonly dns: Pick<DnsWatch, "health">;
  readonly validation: Pick<ValidationMonitor, "state" | "isLost">;
  readonly lookups: Pick<ObservedLookups, "lastFetch">;
  readonly phase: () => Phase;
  readonly listeners: readonly RunningListener[];
}

/** A full disk or a dead resolver is no reason not to be asked: cached policies are answered all the same. Never rejects. */
export async function reportHealth({ store: { path } }: Config, parts: HealthParts): Promise<HealthReport> {
  const { store, dns, validation, lookups } = parts;
  const free = await freeSpace(path);
  const phase = parts.phase();
  const { writable, readable, lastError } = store.health();
  const { answering, lastAnswerAt, lastFailure } = dns.health;
  const { lastFetch } = lookups;
  const holds: Record<HealthProblem, boolean> = {
    "store-not-writable": !writable,
    "store-not-readable": !readable,
    "resolver-not-answering": !answering,
    // One that never validated takes nothing away: Postfix has no DANE with it either. `validating` says so all the same.
    "resolver-not-validating": validation.isLost,
  };
  const problems = PROBLEMS.filter((problem) => holds[problem]);
  return {
    ready: phase === "serving",
    state: phase !== "serving" ? phase : problems.length > 0 ? "degraded" : "ok",
    problems,
    version: VERSION,
    listen: parts.listeners.map(({ listener, server }) => ({
      protocol: listener.protocol,
      address: server.address,
      configured: formatAddress(listener.address),
    })),
    store: {
      writable,
      readable,
      last_error: lastError === undefined ? null : { code: lastError.code, message: lastError.message },
    },
    disk: { free_bytes: free ?? null },
    resolver: {
      answering,
      last_answer: lastAnswerAt === undefined ? null : iso(lastAnswerAt),
      last_failure: lastFailure === undefined ? null : { at: iso(lastFailure.at), code: lastFailure.code },
    },
    validating: validation.state,
    last_fetch: lastFetch === undefined ? null : { at: iso(lastFetch.at), result: lastFetch.result },
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
