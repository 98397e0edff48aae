/** What happens to the daemon as a whole. */
import { ConfigError } from "../config.ts";
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { Validation } from "../net/dns/ad-trust.ts";
import type { Override } from "../policy/override.ts";
import type { SetAsideReport } from "../store/open-store.ts";
import type { InheritedSocket } from "../systemd/environment.ts";

export interface ReloadEvents {
  /** The new configuration is in force, but for these sections, which differ from those we started with. */
  applied(needRestart: readonly string[]): void;
  /** It is wrong, or cannot be read: the one before stays. */
  refused(error: unknown): void;
}

/** @param now milliseconds since 1970; the configuration of this moment is in force */
export function reloadEvents(log: Logger, metrics: Metrics, now: () => number): ReloadEvents {
  let isSuccessful = true;
  let succeededAt = now();
  let waiting = 0;
  metrics.gauge(
    "stsmapd_config_last_reload_successful",
    "Whether the configuration was right when it was last read.",
    () => Number(isSuccessful),
  );
  metrics.gauge(
    "stsmapd_config_last_reload_success_timestamp_seconds",
    "When the configuration in force was read.",
    () => succeededAt / 1000,
  );
  metrics.gauge(
    "stsmapd_config_sections_waiting_for_restart",
    "Sections of the configuration that were changed and come into force with a restart only.",
    () => waiting,
  );
  return {
    applied(needRestart) {
      isSuccessful = true;
      succeededAt = now();
      waiting = needRestart.length;
      log.info({ need_restart: needRestart }, "configuration read again");
    },
    refused(error) {
      isSuccessful = false;
      const why = error instanceof ConfigError ? { problems: error.problems } : { err: error };
      log.error(why, "configuration is wrong; the one in force stays");
    },
  };
}

export function clockEvents(log: Logger, metrics: Metrics): (milliseconds: number) => void {
  const steps = metrics.count(
    "stsmapd_clock_steps_total",
    "Times that the system's clock was put forward or back.",
  );
  return (milliseconds) => {
    steps.count++;
    log.warn({ seconds: Math.round(milliseconds / 1000) }, "the clock was stepped");
  };
}

export function setAsideEvents(log: Logger, metrics: Metrics): (report: SetAsideReport) => void {
  const replaced = metrics.count(
    "stsmapd_store_set_aside_total",
    "Times that the cache file was found damaged and replaced by what could be read of it.",
  );
  return (report) => {
    replaced.count++;
    log.error({ ...report }, "the cache file was damaged: set aside, what could be read was carried over");
  };
}

/** Answers go on; damage that is there is found when it is read. */
export function logUnsearched(log: Logger): (error: unknown) => void {
  return (error) => log.warn({ err: error }, "the cache file could not be searched for damage");
}

/** Whoever connects to such a socket is never answered. */
export function logUnusedSockets(log: Logger, sockets: readonly InheritedSocket[]): void {
  for (const { name, fd } of sockets) {
    log.warn({ name, fd }, "systemd handed down a socket that no listener uses (address: systemd:name)");
  }
}

export function logExpiredOverride(log: Logger): (override: Override) => void {
  return ({ domain, until, comment }) => {
    const ended = new Date(until ?? 0).toISOString();
    log.warn({ domain, until: ended, comment }, "override has run out and is no longer applied");
  };
}

export function logAppliedOverride(log: Logger): (override: Override, domain: string) => void {
  return ({ domain: name, action, until, comment }, domain) => {
    const end = until === undefined ? {} : { until: new Date(until).toISOString() };
    log.info({ domain, override: name, action: action.kind, ...end, comment }, "answered by an override");
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
