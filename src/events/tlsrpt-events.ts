/** What becomes of reports to domains (RFC 8460). */
import type { Logger } from "../log.ts";
import type { TlsrptEvents } from "../lookup/tlsrpt/reporter.ts";
import type { Metrics } from "../metrics/metrics.ts";

/** @param path of the collector's socket */
export function tlsrptEvents(log: Logger, metrics: Metrics, path: string): TlsrptEvents {
  const reports = metrics.counter(
    "stsmapd_tlsrpt_reports_total",
    "Failures to get a policy that could be reported, by what became of the report.",
    ["result"],
  );
  const note = (domain: string, result: string, reason?: string) => {
    reports.add({ result });
    log.debug({ domain, result, reason }, "TLSRPT");
  };
  return {
    delivered: (domain, result) =>
      note(domain, result.kind, result.kind === "sent" ? undefined : result.reason),
    unwanted: (domain, reason) => note(domain, "unwanted", reason),
    undecided: (domain, error) => note(domain, "undecided", error.message),
    dropped: (domain) => note(domain, "dropped"),
    failed(domain, error) {
      reports.add({ result: "failed" });
      log.error({ domain, err: error }, "internal error in TLSRPT");
    },
    collectorChanged(result) {
      if (result.kind === "sent") log.info({ path }, "the TLSRPT collector takes reports again");
      else log.warn({ path, reason: result.reason }, `TLSRPT reports are lost: collector ${result.kind}`);
    },
  };
}
