import { describe, expect, it } from "vitest";
import { encodeDatagram, tlsrptDatagram, type TlsrptDatagram } from "../../../src/net/tlsrpt/datagram.ts";

const D = "example.com";
const RECORD = "v=TLSRPTv1;rua=mailto:x@example.com";
const FAILURE = {
  failureClass: "sts-webpki-invalid",
  reason: "certificate-expired",
  information: "policy host mta-sts.example.com [192.0.2.7]: certificate expired 2026-11-02",
} as const;
const CACHED = {
  text: "version: STSv1\r\nmode: enforce \nmx: mx.example.com\nmx: *.example.net\nmx: mx.example.com\nmax_age: 86400\nx: {\ny: ü\n",
  mx: ["mx.example.com", "*.example.net", "mx.example.com"],
};

const report = { domain: D, record: RECORD, failure: FAILURE, cached: undefined };
const text = (datagram: TlsrptDatagram) => Buffer.from(encodeDatagram(datagram)).toString("utf8");

describe("a datagram", () => {
  it("is what the collector takes, to the letter", () => {
    expect(text(tlsrptDatagram(report))).toBe(
      `{"dpv":"1","d":"example.com","pr":"v=TLSRPTv1;rua=mailto:x@example.com","policies":[{"policy-type":2,` +
        `"policy-domain":"example.com","failure-details":[{"c":303,` +
        `"a":"policy host mta-sts.example.com [192.0.2.7]: certificate expired 2026-11-02",` +
        `"f":"certificate-expired"}],"t":1,"f":1}]}`,
    );
  });

  it("has lines and patterns of a cached policy where and as libtlsrpt writes them", () => {
    expect(text(tlsrptDatagram({ ...report, cached: CACHED }))).toBe(
      `{"dpv":"1","d":"example.com","pr":"v=TLSRPTv1;rua=mailto:x@example.com","policies":[{"policy-type":2,` +
        `"policy-domain":"example.com","policy-string":["version: STSv1","mode: enforce","mx: mx.example.com",` +
        `"mx: *.example.net","mx: mx.example.com","max_age: 86400","y: ü"],"mx-host":["mx.example.com","*.example.net"],` +
        `"failure-details":[{"c":303,` +
        `"a":"policy host mta-sts.example.com [192.0.2.7]: certificate expired 2026-11-02",` +
        `"f":"certificate-expired+fallback-to-cached-policy"}],"t":1,"f":1}]}`,
    );
  });

  it("has no patterns where the cached policy has none", () => {
    const cached = { text: "version: STSv1\nmode: none\nmax_age: 86400\n", mx: [] };
    expect(tlsrptDatagram({ ...report, cached }).policies[0]).not.toHaveProperty("mx-host");
  });

  it.each([
    ["sts-policy-fetch-error", 301],
    ["sts-policy-invalid", 302],
    ["sts-webpki-invalid", 303],
  ] as const)("calls %s %d", (failureClass, code) => {
    const { policies } = tlsrptDatagram({ ...report, failure: { ...FAILURE, failureClass } });
    expect(policies[0]["failure-details"][0].c).toBe(code);
  });

  it("holds whatever the other side wrote, made printable and cut", () => {
    const information = `media type is "\r\n\0\u001b[2J\u2028ü${"x".repeat(1000)}`;
    const datagram = tlsrptDatagram({ ...report, failure: { ...FAILURE, information } });
    const { a } = datagram.policies[0]["failure-details"][0];
    expect(a).toMatch(/^media type is "\?{3}\?\[2J\?\?x+$/);
    expect(a).toHaveLength(400);
    expect(JSON.parse(text(datagram))).toEqual(datagram);
  });
});

describe("nothing is sent that could stop the collector:", () => {
  const good = tlsrptDatagram({ ...report, cached: CACHED });
  const [policy] = good.policies;
  const [detail] = policy["failure-details"];
  const withPolicy = (change: object) => ({ ...good, policies: [{ ...policy, ...change }] });

  it.each<[string, object]>([
    ["a protocol version that is a number", { ...good, dpv: 1 }],
    ["no domain", { ...good, d: "" }],
    ["a domain with a line break", { ...good, d: "example.com\n" }],
    ["no TLSRPT record", { ...good, pr: undefined }],
    ["another record", { ...good, pr: "v=spf1 -all" }],
    ["no policies", { ...good, policies: [] }],
    ["a key that libtlsrpt does not have", { ...good, x: 1 }],
    ["a count that is a text", withPolicy({ t: "1" })],
    ["a result that is a boolean", withPolicy({ f: true })],
    ["another count than there are details", withPolicy({ t: 2 })],
    ["policy lines that are one text", withPolicy({ "policy-string": "version: STSv1" })],
    ["a pattern that is null", withPolicy({ "mx-host": [null] })],
    ["no failure", withPolicy({ "failure-details": [] })],
    ["another code", withPolicy({ "failure-details": [{ ...detail, c: 201 }] })],
    ["a code that is a text", withPolicy({ "failure-details": [{ ...detail, c: "301" }] })],
    ["information that is no text", withPolicy({ "failure-details": [{ ...detail, a: 5 }] })],
    ["a reason with spaces", withPolicy({ "failure-details": [{ ...detail, f: "it failed" }] })],
  ])("%s", (_title, datagram) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- What the types forbid is the question.
    expect(() => encodeDatagram(datagram as TlsrptDatagram)).toThrow('"path"');
  });
});
