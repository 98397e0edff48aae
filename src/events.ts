/** One function an event: the log line it makes. Domains, results and durations, never a line for a hit in memory. */
import type { Logger } from "./log.ts";
import type { TlsrptEvents } from "./lookup/tlsrpt-reporter.ts";
import type { LookupEvents, Resolution, ResolutionOutcome } from "./lookup/events.ts";
import type { Override } from "./policy/override.ts";
import type { Validation } from "./net/ad-trust.ts";
import type { ServerEvents } from "./server/listener.ts";
import type { SetAsideReport } from "./store/open-store.ts";

export function logLookupEvents(log: Logger): LookupEvents {
  return {
    resolved(resolution) {
      log[levelOf(resolution)](resolutionFields(resolution), "resolved");
    },
    deadlinePassed(domain) {
      log.warn({ domain }, "answered at the deadline; the resolution goes on");
    },
    storeFailed(operation, domain, error) {
      log.error({ domain, operation, code: error.code, err: error }, "store failed; answering from memory");
    },
    failed(domain, error) {
      log.error({ domain, err: error }, "internal error");
    },
  };
}

export function logServerEvents(log: Logger): ServerEvents {
  return {
    onViolation(error, client) {
      log.warn(
        { client, code: error.code, reason: error.message },
        "client broke the protocol; disconnected",
      );
    },
    onAcceptError(error) {
      log.error({ err: error }, "a client could not be accepted");
    },
  };
}

/** @param path of the collector's socket */
export function logTlsrptEvents(log: Logger, path: string): TlsrptEvents {
  const debug = (domain: string, result: string, reason?: string) =>
    log.debug({ domain, result, reason }, "TLSRPT");
  return {
    delivered: (domain, result) =>
      debug(domain, result.kind, result.kind === "sent" ? undefined : result.reason),
    unwanted: (domain, reason) => debug(domain, "unwanted", reason),
    undecided: (domain, error) => debug(domain, "undecided", error.message),
    dropped: (domain) => debug(domain, "dropped"),
    failed(domain, error) {
      log.error({ domain, err: error }, "internal error in TLSRPT");
    },
    collectorChanged(result) {
      if (result.kind === "sent") log.info({ path }, "the TLSRPT collector takes reports again");
      else log.warn({ path, reason: result.reason }, `TLSRPT reports are lost: collector ${result.kind}`);
    },
  };
}

/** The cache commands are a convenience: without them the mail goes on. */
export function logNoAdmin(log: Logger, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  log.error({ reason }, "no admin socket: `stsmapd cache` works on the file, and not through this daemon");
}

export function logAdminError(log: Logger): (error: unknown) => void {
  return (error) => log.error({ err: error }, "a request on the admin socket failed");
}

export function logClockStep(log: Logger, milliseconds: number): void {
  log.warn({ seconds: Math.round(milliseconds / 1000) }, "the clock was stepped");
}

export function logSetAside(log: Logger): (report: SetAsideReport) => void {
  return (report) => {
    log.error({ ...report }, "the cache file was damaged: set aside, what could be read was carried over");
  };
}

export function logExpiredOverride(log: Logger): (override: Override) => void {
  return ({ domain, until, comment }) => {
    const ended = new Date(until ?? 0).toISOString();
    log.warn({ domain, until: ended, comment }, "override has run out and is no longer applied");
  };
}

export function logValidation(log: Logger, name: string): (validation: Validation) => void {
  return (validation) => {
    switch (validation.state) {
      case "validating":
        return log.info({ name }, "the resolver validates DNSSEC; DANE is looked for");
      case "not-validating":
        return log.warn({ name }, "the resolver does not validate DNSSEC; DANE is not looked for");
      case "unknown":
        return log.warn(
          { name, reason: validation.error.message },
          "whether the resolver validates DNSSEC is unknown",
        );
    }
  };
}

/** What an administrator may have to act on is a warning; that nothing changed interests nobody. */
function levelOf({ outcome, trigger }: Resolution): "warn" | "info" | "debug" {
  if (outcome.kind === "dns-failure" || outcome.kind === "fetch-failure") return "warn";
  return trigger === "recheck" && outcome.kind !== "fetched" ? "debug" : "info";
}

function resolutionFields({ domain, trigger, outcome, pin, durationMs }: Resolution): object {
  return {
    domain,
    result: outcome.kind,
    ...outcomeFields(outcome),
    ...(pin !== undefined && { mode: pin.mode, expires: new Date(pin.expiresAt).toISOString() }),
    trigger,
    duration_ms: Math.round(durationMs),
  };
}

function outcomeFields(outcome: ResolutionOutcome): object {
  switch (outcome.kind) {
    case "fetched":
      return { id: outcome.pin.recordId, address: outcome.trace.address };
    case "current":
    case "back-off":
      return { id: outcome.recordId };
    case "no-record":
      return { reason: outcome.reason };
    case "dns-failure":
      return { reason: outcome.error.message, code: outcome.error.code };
    case "fetch-failure":
      return {
        id: outcome.recordId,
        reason: outcome.error.message,
        code: outcome.error.reason,
        class: outcome.error.failureClass,
      };
  }
}
