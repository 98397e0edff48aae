import { describe, expect, it } from "vitest";
import { findTlsrptRecord, tlsrptRecordName } from "../../src/policy/tlsrpt-record.ts";

const GOOD = "v=TLSRPTv1; rua=mailto:reports@example.com";

it("is found below _smtp._tls", () => {
  expect(tlsrptRecordName("example.com")).toBe("_smtp._tls.example.com");
});

describe("a valid record", () => {
  it.each([
    [GOOD],
    ["v=TLSRPTv1;rua=mailto:reports@example.com"],
    [`${GOOD};`], // a delimiter at the end
    [`${GOOD} ; `], // white space around it
    ["v=TLSRPTv1;\t rua=https://reports.example.com/v1?domain=example.com"],
    ["v=TLSRPTv1; rua=MAILTO:reports@example.com"], // RFC 3986 §3.1: schemes ignore case
    ["v=TLSRPTv1; rua=mailto:a@example.com , https://example.com/"],
    ["v=TLSRPTv1; rua=mailto:a%2Cb%21@example.com"], // encoded as they must be
    ["v=TLSRPTv1; rua=ftp://example.com/,mailto:a@example.com"], // one of them can be used
    ["v=TLSRPTv1; rua=mailto:a@example.com; rua=mailto:b@example.com"], // the grammar allows it
    ["v=TLSRPTv1; x=1; rua=mailto:a@example.com; y.z-_=abc"], // extensions
  ])("is %j, kept to the letter", (text) => {
    expect(findTlsrptRecord([text])).toEqual({ kind: "record", text });
  });

  it("is found among other TXT data", () => {
    const others = ["v=spf1 -all", "v=TLSRPTv1", "v=TLSRPTv2; rua=mailto:a@example.com"];
    expect(findTlsrptRecord([...others, GOOD])).toEqual({ kind: "record", text: GOOD });
  });
});

describe("no record", () => {
  it.each([
    [[]],
    [["v=spf1 -all"]],
    [["V=TLSRPTv1; rua=mailto:a@example.com"]], // the version is case-sensitive
    [["v=tlsrptv1; rua=mailto:a@example.com"]],
    [[" v=TLSRPTv1; rua=mailto:a@example.com"]], // it does not begin so
    [["v=TLSRPTv1 ; rua=mailto:a@example.com"]], // collectors look for the letters of the RFC, too
    [["v=TLSRPTv1"]],
  ])("is %j", (texts) => {
    expect(findTlsrptRecord(texts)).toEqual({ kind: "none" });
  });
});

describe("an invalid record", () => {
  it.each([
    ["v=TLSRPTv1;", "rua is missing"],
    ["v=TLSRPTv1; x=1", "rua is missing"],
    ["v=TLSRPTv1; RUA=mailto:a@example.com", "rua is missing"], // RFC 8460 §3: case-sensitive
    ["v=TLSRPTv1;; rua=mailto:a@example.com", "field 2 is not of the form name=value"],
    ["v=TLSRPTv1; rua", "field 2 is not of the form name=value"],
    ["v=TLSRPTv1; rua =mailto:a@example.com", "field 2 has a name that"],
    [`v=TLSRPTv1; ${"x".repeat(33)}=1; rua=mailto:a@example.com`, "field 2 has a name that"],
    [`${GOOD}; x=`, "field 3 has an empty value"],
    [`${GOOD}; x=a b`, "field 3 has an empty value or a character"],
    ["v=TLSRPTv1; rua=", "rua is not a list of URIs"],
    ["v=TLSRPTv1; rua=reports@example.com", "rua is not a list of URIs"], // no scheme
    ["v=TLSRPTv1; rua=mailto:", "rua is not a list of URIs"],
    ["v=TLSRPTv1; rua=mailto:a@example.com,", "rua is not a list of URIs"],
    ["v=TLSRPTv1; rua=mailto:a@example.com!10m", "rua is not a list of URIs"], // as in DMARC
    ["v=TLSRPTv1; rua=mailto:a b@example.com", "rua is not a list of URIs"],
    ["v=TLSRPTv1; rua=mailto:\xfc@example.com", "rua is not a list of URIs"], // US-ASCII only
    ["v=TLSRPTv1; rua=mailto:a@example.com\nx", "rua is not a list of URIs"],
    ["v=TLSRPTv1; rua=ftp://example.com/", "rua has neither a mailto: nor an https: URI"],
    ["v=TLSRPTv1; rua=http://example.com/", "rua has neither a mailto: nor an https: URI"],
  ])("is %j: %s", (text, reason) => {
    expect(findTlsrptRecord([text])).toEqual({ kind: "invalid", reason: expect.stringContaining(reason) });
  });

  it("is every one of two, even of two that are alike", () => {
    expect(findTlsrptRecord([GOOD, GOOD])).toEqual({
      kind: "invalid",
      reason: "2 TLSRPT records where one is allowed",
    });
  });
});
