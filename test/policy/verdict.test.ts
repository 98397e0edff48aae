import { describe, expect, it } from "vitest";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import type { PolicyMode } from "../../src/policy/policy.ts";
import { needsDane, verdict } from "../../src/policy/verdict.ts";
import type { DaneState, KnownDaneKind, PolicyFinding, Verdict } from "../../src/policy/verdict.ts";

type FindingName = "enforce" | "testing" | "none" | "absent" | "unknown";

const found = (mode: PolicyMode) => ({
  kind: "policy" as const,
  policy: { domain: "example.com", mode, mx: ["mx.example.com"], text: "" },
});

const FINDINGS: Record<FindingName, PolicyFinding> = {
  enforce: found("enforce"),
  testing: found("testing"),
  none: found("none"),
  absent: { kind: "absent" },
  unknown: { kind: "unknown", domain: "example.com", reason: "no TXT" },
};

const DANE: Record<DaneState["kind"], DaneState> = {
  none: { kind: "none" },
  some: { kind: "some" },
  all: { kind: "all" },
  unknown: { kind: "unknown", reason: "no TLSA" },
  // Last, so that it stands at the end of each row below.
  "insecure-mx": { kind: "insecure-mx" },
};

const YIELD: MapProfile = {
  attributes: "3.4",
  dane: "yield",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout: 100,
};
const DANE_ONLY: MapProfile = { ...YIELD, dane: "dane-only" };
const IGNORE: MapProfile = { ...YIELD, dane: "ignore" };

/** What is said where DANE is none, some, all, unknown, and where the MX set is insecure but its hosts have TLSA. */
type Row = [none: string, some: string, all: string, unknown: string, insecureMx: string];

/** One row a finding. */
type Table = Record<FindingName, Row>;

/** Nothing of DANE changes a row of equal answers. */
const whatever = (said: string): Row => [said, said, said, said, said];

const TABLES: [profile: MapProfile, table: Table, name: string][] = [
  [
    YIELD,
    {
      enforce: ["secure", "dane", "dane", "dane-unknown", "secure"],
      testing: whatever("mode-testing"),
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      unknown: whatever("dns-failure"),
    },
    "yield",
  ],
  [
    DANE_ONLY,
    {
      enforce: ["secure", "level dane", "level dane-only", "TEMP no TLSA", "secure"],
      testing: ["mode-testing", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      none: ["mode-none", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      absent: ["no-policy", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      unknown: ["dns-failure", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
    },
    "dane-only",
  ],
  [
    IGNORE,
    {
      enforce: whatever("secure"),
      testing: whatever("mode-testing"),
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      unknown: whatever("dns-failure"),
    },
    "ignore",
  ],
  [
    { ...YIELD, testing: "enforce", dnsFailure: "defer" },
    {
      enforce: ["secure", "dane", "dane", "dane-unknown", "secure"],
      testing: ["secure", "dane", "dane", "dane-unknown", "secure"],
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      unknown: whatever("TEMP no TXT"),
    },
    "yield, testing: enforce, dns_failure: defer",
  ],
  [
    { ...DANE_ONLY, testing: "enforce", dnsFailure: "defer" },
    {
      enforce: ["secure", "level dane", "level dane-only", "TEMP no TLSA", "secure"],
      testing: ["secure", "level dane", "level dane-only", "TEMP no TLSA", "secure"],
      none: ["mode-none", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      absent: ["no-policy", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      unknown: ["TEMP no TXT", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
    },
    "dane-only, testing: enforce, dns_failure: defer",
  ],
  [
    { ...IGNORE, testing: "enforce", dnsFailure: "defer" },
    {
      enforce: whatever("secure"),
      testing: whatever("secure"),
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      unknown: whatever("TEMP no TXT"),
    },
    "ignore, testing: enforce, dns_failure: defer",
  ],
  [
    { ...YIELD, testing: "enforce", dnsFailure: "defer", rollout: 0 },
    {
      enforce: ["held back, notfound", "dane", "dane", "dane-unknown", "held back, notfound"],
      testing: ["held back, notfound", "dane", "dane", "dane-unknown", "held back, notfound"],
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      // What could be found would not be enforced, so mail does not wait for it.
      unknown: whatever("dns-failure"),
    },
    "yield, testing: enforce, dns_failure: defer, rollout: observe",
  ],
  [
    { ...DANE_ONLY, dnsFailure: "defer", rollout: 0 },
    {
      // As without a policy.
      enforce: ["held back, notfound", "level dane", "level dane-only", "TEMP no TLSA", "held back, dane"],
      testing: ["mode-testing", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      none: ["mode-none", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      absent: ["no-policy", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
      unknown: ["dns-failure", "level dane", "level dane-only", "TEMP no TLSA", "level dane"],
    },
    "dane-only, dns_failure: defer, rollout: observe",
  ],
  [
    { ...IGNORE, rollout: 0 },
    {
      enforce: whatever("held back, notfound"),
      testing: whatever("mode-testing"),
      none: whatever("mode-none"),
      absent: whatever("no-policy"),
      unknown: whatever("dns-failure"),
    },
    "ignore, rollout: observe",
  ],
];

function inWords(said: Verdict): string {
  switch (said.kind) {
    case "secure":
      return "secure";
    case "held-back":
      return `held back, ${said.instead}`;
    case "dane":
      return `level ${said.level}`;
    case "not-found":
      return said.because;
    case "defer":
      return `TEMP ${said.reason}`;
  }
}

describe.each(TABLES)("verdict of a map with %j", (profile, table) => {
  it.each(Object.entries(FINDINGS))(
    "says for %s what the table says for each DANE state",
    (name, finding) => {
      const said = Object.values(DANE).map((dane) => inWords(verdict(finding, dane, profile)));
      expect(said).toEqual(new Map<string, string[]>(Object.entries(table)).get(name));
    },
  );

  it("does not change with DANE where it does not ask for DANE", () => {
    for (const finding of Object.values(FINDINGS)) {
      if (needsDane(finding, profile)) continue;
      const said = Object.values(DANE).map((dane) => inWords(verdict(finding, dane, profile)));
      expect(new Set(said).size).toBe(1);
    }
  });
});

describe("verdict", () => {
  it.each<[KnownDaneKind, MapProfile, string, string]>([
    ["none", YIELD, "secure", "an outage of DNS does not lift a cached policy"],
    ["some", YIELD, "dane", "what was known before stands in"],
    ["all", YIELD, "dane", "the same"],
    ["insecure-mx", YIELD, "secure", "whoever forges the MX set must not lift it either"],
    ["none", DANE_ONLY, "TEMP no TLSA", "dane-only promises more"],
    ["some", DANE_ONLY, "TEMP no TLSA", "the same"],
    ["all", DANE_ONLY, "TEMP no TLSA", "the same"],
    ["all", IGNORE, "secure", "DANE is not looked at"],
  ])("with DANE unknown now and %s before, under %j, says %s: %s", (lastKnown, profile, said) => {
    const dane: DaneState = { kind: "unknown", reason: "no TLSA", lastKnown };
    expect(inWords(verdict(FINDINGS.enforce, dane, profile))).toBe(said);
  });

  it("hands on the policy that is to be enforced", () => {
    const { policy } = found("enforce");
    expect(verdict(FINDINGS.enforce, DANE.none, YIELD)).toEqual({ kind: "secure", policy });
  });

  it("does not depend on the attributes of the map", () => {
    for (const finding of Object.values(FINDINGS)) {
      for (const dane of Object.values(DANE)) {
        const newer = verdict(finding, dane, { ...YIELD, attributes: "3.10" });
        expect(newer).toEqual(verdict(finding, dane, YIELD));
      }
    }
  });
});

const asking = (profile: MapProfile) =>
  Object.entries(FINDINGS)
    .filter(([, finding]) => needsDane(finding, profile))
    .map(([name]) => name);

describe("needsDane", () => {
  it("asks with yield only where MTA-STS would be enforced", () => {
    expect(asking(YIELD)).toEqual(["enforce"]);
    expect(asking({ ...YIELD, testing: "enforce" })).toEqual(["enforce", "testing"]);
  });

  it("asks with dane-only for every domain", () => {
    expect(asking(DANE_ONLY)).toEqual(Object.keys(FINDINGS));
  });

  it("never asks with ignore", () => {
    expect(asking({ ...IGNORE, testing: "enforce" })).toEqual([]);
  });
});
