import { findTlsrptRecord } from "../../../src/policy/tlsrpt-record.ts";
import { rule, type FuzzTarget } from "../target.ts";

export const tlsrptRecord: FuzzTarget = {
  name: "tlsrpt-record",
  maxLength: 600,
  dictionary: [
    "v=TLSRPTv1;",
    "rua=",
    "mailto:",
    "https://",
    ",",
    ";",
    " ",
    "\t",
    "!",
    "%2c",
    "\n",
    "a=b;",
    "a@b.example",
    "=",
  ],
  seeds: [
    "v=TLSRPTv1; rua=mailto:reports@example.com",
    "v=TLSRPTv1;rua=https://example.com/x,mailto:a@b;a=b;",
    "v=spf1\nv=TLSRPTv1; rua=x:y",
  ],
  check(input) {
    const texts = input.toString("latin1").split("\n");
    const finding = findTlsrptRecord(texts);
    const candidates = texts.filter((text) => text.startsWith("v=TLSRPTv1;"));
    rule((finding.kind === "none") === (candidates.length === 0), "none, or not, by its prefix");
    rule(findTlsrptRecord(texts.toReversed()).kind === finding.kind, "the order of the records matters");
    if (finding.kind === "invalid") rule(/^[ -~]+$/.test(finding.reason), "a reason that is not plain text");
    if (finding.kind !== "record") return;
    // Collectors compare it to the letter, and it goes into a datagram of JSON.
    rule(candidates.length === 1 && finding.text === candidates[0], "not the record as published");
    rule(/^[\t -~]+$/.test(finding.text), "octets that no valid record has");
    rule(
      /;[ \t]*rua=/.test(finding.text) && /(?:mailto|https):/i.test(finding.text),
      "nowhere to send a report to",
    );
    rule(findTlsrptRecord([finding.text]).kind === "record", "not stable");
  },
};
