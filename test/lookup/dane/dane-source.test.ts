import { describe, expect, it } from "vitest";

import { daneState } from "../../../src/lookup/dane/dane-source.ts";
import { DnsError } from "../../../src/net/dns/resolver.ts";
import type { DaneFinding, MxSetKind } from "../../../src/net/dane/finding.ts";
import type { DaneState } from "../../../src/policy/verdict.ts";

const failure = {
  name: "_25._tcp.mx.example",
  type: "TLSA",
  error: new DnsError("servfail", "servfail"),
} as const;
const unknown = { state: "unknown", failure, reason: "TLSA: servfail" } as const;

describe("daneState", () => {
  it.each<[DaneFinding["summary"], MxSetKind, secure: boolean, DaneState]>([
    [{ state: "none" }, "mx", true, { kind: "none" }],
    [{ state: "some" }, "mx", true, { kind: "some" }],
    [{ state: "all" }, "mx", true, { kind: "all" }],
    [{ state: "some" }, "mx", false, { kind: "insecure-mx" }], // whoever forges the set chooses the hosts
    [{ state: "some" }, "implicit", false, { kind: "insecure-mx" }],
    [unknown, "mx", true, { kind: "unknown", reason: unknown.reason }],
    [unknown, "unknown", false, { kind: "unknown", reason: unknown.reason }], // nothing is known of the set
    [unknown, "mx", false, { kind: "unknown", reason: unknown.reason, lastKnown: "insecure-mx" }], // a forged broken host
    [unknown, "implicit", false, { kind: "unknown", reason: unknown.reason, lastKnown: "insecure-mx" }],
  ])("of %j with MX set %s, secure: %s", (summary, kind, secure, expected) => {
    const finding: DaneFinding = {
      domain: "d.example",
      mx: { kind, secure, leftOut: 0 },
      hosts: [],
      summary,
      ttl: 60,
    };
    expect(daneState(finding)).toEqual(expected);
  });
});
