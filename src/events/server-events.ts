/** What happens at the sockets: those of Postfix, and those of the administrator. */
import type { Logger } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { ServerEvents } from "../server/listener.ts";

/** For the listeners together. */
export function serverEvents(log: Logger, metrics: Metrics): ServerEvents {
  const violations = metrics.counter(
    "stsmapd_protocol_violations_total",
    "Clients that broke the framing of their protocol and were disconnected.",
    ["code"],
  );
  const acceptErrors = metrics.count(
    "stsmapd_accept_errors_total",
    "Clients that the system could not let in.",
  );
  const turnedAway = metrics.count(
    "stsmapd_listener_full_total",
    "Times that a listener had as many clients as descriptors allow, and began to turn others away.",
  );
  return {
    onViolation(error, client) {
      violations.add({ code: error.code });
      log.warn(
        { client, code: error.code, reason: error.message },
        "client broke the protocol; disconnected",
      );
    },
    onAcceptError(error) {
      acceptErrors.count++;
      log.error({ err: error }, "a client could not be accepted");
    },
    onUnshared(address, error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.info({ address, reason }, "listening with one socket: the system lets several share no port");
    },
    onFullChange(isFull, clients) {
      if (isFull) turnedAway.count++;
      if (isFull) log.error({ clients }, "clients are turned away: too many for the limit of descriptors");
      else log.info({ clients }, "there is room for clients again");
    },
  };
}

/** The cache commands are a convenience: without them the mail goes on. */
export function logNoAdmin(log: Logger, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  log.error({ reason }, "no admin socket: `stsmapd cache` works on the file, and not through this daemon");
}

/** So it does without anybody who watches it. */
export function logNoMetrics(log: Logger, error: Error): void {
  log.error({ reason: error.message }, "metrics and health cannot be had over TCP");
}

export function logAdminError(log: Logger): (error: unknown) => void {
  return (error) => log.error({ err: error }, "a request for cache, metrics or health failed");
}
