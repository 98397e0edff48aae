import { describe, expect, it } from "vitest";

import { parseConfig, renderConfig } from "../../src/config.ts";
import { problemsOf } from "./problems-of.ts";

const env = { STATE_DIRECTORY: "/var/lib/stsmapd" };

function overridesOf(yaml: string) {
  return parseConfig(`overrides:\n  - ${yaml}\n`, "f.yaml", env).overrides;
}

describe("overrides", () => {
  it.each([
    ["{ domain: example.com, action: off }", { domain: "example.com", action: { kind: "off" } }],
    ["{ domain: .Example.COM, action: testing }", { domain: ".example.com", action: { kind: "testing" } }],
    [
      "{ domain: bücher.example, action: defer }",
      { domain: "xn--bcher-kva.example", action: { kind: "defer" } },
    ],
    [
      "{ domain: a.example, action: enforce, mx: [MX.a.example, '*.b.example'] }",
      { domain: "a.example", action: { kind: "enforce", mx: ["mx.a.example", "*.b.example"] } },
    ],
    [
      "{ domain: a.example, action: reply, reply: 'secure match=mx.a.example' }",
      { domain: "a.example", action: { kind: "reply", text: "secure match=mx.a.example" } },
    ],
  ])("reads %s", (yaml, expected) => {
    expect(overridesOf(yaml)).toEqual([expect.objectContaining(expected)]);
  });

  it.each([
    ["2026-12-31", "2027-01-01T00:00:00.000Z"], // a date holds to its end
    ["2026-12-31T18:00:00Z", "2026-12-31T18:00:00.000Z"],
    ["2026-12-31T18:00:00+02:00", "2026-12-31T16:00:00.000Z"],
  ])("reads until: %s as %s", (until, expected) => {
    const [override] = overridesOf(`{ domain: a.example, action: off, until: ${until} }`);
    expect(new Date(override?.until ?? 0).toISOString()).toBe(expected);
  });

  it.each([
    ["{ domain: localhost, action: off }", "is no domain"],
    ["{ domain: 'a.example:25', action: off }", "is no domain"],
    ["{ domain: a.example }", "action"],
    ["{ domain: a.example, action: on }", "is not a choice"],
    ["{ domain: a.example, action: enforce }", "enforce needs mx"],
    ["{ domain: a.example, action: enforce, mx: [] }", "enforce needs mx"],
    ["{ domain: a.example, action: enforce, mx: [nexthop] }", "is no MX pattern"],
    ["{ domain: a.example, action: enforce, mx: [192.0.2.1] }", "is no MX pattern"],
    ["{ domain: a.example, action: off, mx: [mx.a.example] }", "not for action off"],
    ["{ domain: a.example, action: reply }", "reply needs reply"],
    ["{ domain: a.example, action: reply, reply: secured }", "no security level"],
    ["{ domain: a.example, action: reply, reply: 'may match=a.example' }", "match is not allowed with may"],
    ["{ domain: a.example, action: reply, reply: 'secure match=' }", "match has no value"],
    ["{ domain: a.example, action: reply, reply: 'secure policy_type=sts' }", "is no attribute"],
    ["{ domain: a.example, action: reply, reply: 'secure { match=a.example' }", "braces"],
    ["{ domain: a.example, action: off, until: tomorrow }", "is no date"],
    ["{ domain: a.example, action: off, until: 2026-13-40 }", "is no date"],
  ])("refuses %s: %s", (yaml, message) => {
    expect(problemsOf(`overrides:\n  - ${yaml}\n`).join("\n")).toContain(message);
  });

  it("writes them back as they were", () => {
    const config = parseConfig(
      `overrides:
  - { domain: a.example, action: enforce, mx: [mx.a.example], until: 2026-12-31, comment: ticket 1 }
  - { domain: .b.example, action: reply, reply: dane-only }
`,
      "f.yaml",
      env,
    );
    expect(parseConfig(renderConfig(config), "g.yaml", env)).toEqual(config);
  });
});
