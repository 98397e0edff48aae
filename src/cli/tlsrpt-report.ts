/** The readable form of what a domain is told by TLSRPT. */
import type { TlsrptExamination } from "../lookup/examination.ts";
import type { TlsrptDiscovery } from "../lookup/tlsrpt/discovery.ts";
import { tlsrptRecordName } from "../policy/tlsrpt-record.ts";

/** One line for the record, then what a daemon with `tlsrpt.collector` would report. */
export function tlsrptLines(domain: string, { record, report }: TlsrptExamination): string[] {
  const lines = [`${tlsrptRecordName(domain)} TXT: ${recordText(record)}`];
  if (report === undefined) return record.kind === "record" ? [...lines, "nothing to report"] : lines;
  const [{ a, f }] = report.datagram.policies[0]["failure-details"];
  return [...lines, `to be reported: ${report.failure.failureClass}, ${f}`, a];
}

function recordText(record: TlsrptDiscovery): string {
  switch (record.kind) {
    case "record":
      return record.text;
    case "none":
      return "none, the domain wants no reports";
    case "invalid":
      return `not valid, the domain gets no reports: ${record.reason}`;
    case "dns-failure":
      return `could not be asked for: ${record.error.message}`;
  }
}
