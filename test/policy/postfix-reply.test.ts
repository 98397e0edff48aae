import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePolicy } from "../../src/policy/policy.ts";
import { postfixReply } from "../../src/policy/postfix-reply.ts";
import { MAX_REPLY_TEXT } from "../../src/policy/reply.ts";
import type { Reply } from "../../src/policy/reply.ts";
import type { AppliedPolicy } from "../../src/policy/verdict.ts";
import { checkReply } from "../helpers/postfix-grammar.ts";
import type { CheckedReply, ParsedTlsPolicy } from "../helpers/postfix-grammar.ts";
import { policyFile } from "../helpers/policy-generator.ts";

const HEAD = "version: STSv1\nmode: enforce\nmax_age: 86400\n";
const STRATEGIES = new Set(["hostname", "nexthop", "dot-nexthop"]);

function policyOf(text: string): AppliedPolicy {
  const { policy, text: served } = parsePolicy(Buffer.from(text));
  return { domain: "example.com", mode: policy.mode, mx: policy.mx, text: served };
}

const withMx = (...mx: string[]) => policyOf(HEAD + mx.map((pattern) => `mx: ${pattern}\n`).join(""));

/** The reply, which has passed the checker. */
function secure(policy: AppliedPolicy, attributes: "3.4" | "3.10"): Reply {
  const reply = postfixReply({ kind: "secure", policy }, attributes);
  checkReply(reply, attributes);
  return reply;
}

function textOf(reply: Reply): string {
  if (reply.status !== "OK") throw new Error(`reply is ${reply.status}`);
  return reply.text;
}

function parsed(policy: AppliedPolicy, attributes: "3.4" | "3.10"): ParsedTlsPolicy {
  const checked = checkReply(postfixReply({ kind: "secure", policy }, attributes), attributes);
  if (checked.status !== "OK") throw new Error(`reply is ${checked.status}`);
  return checked.policy;
}

/** What must be said of a valid policy, worked out without the code under test. */
function expectedReply({ mx, text }: AppliedPolicy, attributes: "3.4" | "3.10"): CheckedReply {
  const patterns = mx.filter((pattern, at) => mx.indexOf(pattern) === at && !STRATEGIES.has(pattern));
  if (patterns.length === 0) {
    return { status: "TEMP", reason: "MTA-STS policy of example.com names no usable MX pattern" };
  }
  const newer = attributes === "3.10";
  const lines = text.split(/\r?\n/).map((line) => line.replace(/[ \t]*$/, ""));
  return {
    status: "OK",
    policy: {
      level: "secure",
      match: patterns.map((pattern) => pattern.replace("*.", ".")),
      servername: "hostname",
      policyType: newer ? "sts" : undefined,
      policyDomain: newer ? "example.com" : undefined,
      policyStrings: newer ? lines.filter((line) => /^[^{}\t\x80-\x9f]+$/.test(line)) : [],
      mxHostPatterns: newer ? patterns : [],
    },
  };
}

describe("postfixReply", () => {
  it("says not found, defer and the DANE levels with either kind of attributes", () => {
    for (const attributes of ["3.4", "3.10"] as const) {
      expect(postfixReply({ kind: "not-found", because: "no-policy" }, attributes)).toEqual({
        status: "NOTFOUND",
      });
      const deferred = postfixReply({ kind: "defer", reason: "no DNS" }, attributes);
      expect(deferred).toEqual({ status: "TEMP", reason: "no DNS" });
      for (const level of ["dane", "dane-only"] as const) {
        const reply = postfixReply({ kind: "dane", level }, attributes);
        expect(reply).toEqual({ status: "OK", text: level, shortText: level });
        checkReply(reply, attributes);
      }
    }
  });

  it("makes a reason printable and as long as Postfix logs", () => {
    const reply = postfixReply({ kind: "defer", reason: `b\u00fccher\r\n${"x".repeat(300)}` }, "3.4");
    expect(reply).toEqual({ status: "TEMP", reason: `b?cher?${"x".repeat(193)}` });
    checkReply(reply, "3.4");
    expect(postfixReply({ kind: "defer", reason: "a\x7f\0b" }, "3.4")).toEqual({
      status: "TEMP",
      reason: "a?b",
    });
  });

  it("writes the attributes of 3.4", () => {
    const text = "secure match=mx.example.com:.example.net servername=hostname";
    expect(secure(withMx("mx.example.com", "*.example.net"), "3.4")).toEqual({
      status: "OK",
      text,
      shortText: text,
    });
  });

  it("writes the attributes of 3.10, with and without the policy strings", () => {
    const head =
      "secure match=mx.example.com:.example.net servername=hostname policy_type=sts policy_domain=example.com";
    const strings =
      "{ policy_string = version: STSv1 } { policy_string = mode: enforce } { policy_string = max_age: 86400 } " +
      "{ policy_string = mx: mx.example.com } { policy_string = mx: *.example.net }";
    const patterns = "mx_host_pattern=mx.example.com mx_host_pattern=*.example.net";
    expect(secure(withMx("mx.example.com", "*.example.net"), "3.10")).toEqual({
      status: "OK",
      text: `${head} ${strings} ${patterns}`,
      shortText: `${head} ${patterns}`,
    });
  });

  it.each([
    [["a.example", "b.example", "a.example"], ["a.example", "b.example"], "a name twice"],
    [["b.example", "*.b.example", "*.B.example"], ["b.example", ".b.example"], "upper case is no other name"],
    [["*.example", "b.example", "*.example"], [".example", "b.example"], "a wildcard twice"],
    [["z.example", "a.example"], ["z.example", "a.example"], "the file's order"],
    [["hostname", "a.example"], ["a.example"], "hostname is left out"],
    [["a.example", "NextHop", "dot-nexthop"], ["a.example"], "strategies in any case are left out"],
    [
      ["*.hostname", "nexthop.example"],
      [".hostname", "nexthop.example"],
      "names that only contain them stay",
    ],
  ])("makes of mx %j the match %j: %s", (mx, match) => {
    expect(parsed(withMx(...mx), "3.4").match).toEqual(match);
    expect(parsed(withMx(...mx), "3.10").match).toEqual(match);
  });

  it("defers where nothing but strategies is left", () => {
    const reply = secure(withMx("hostname", "nexthop", "dot-nexthop"), "3.10");
    expect(reply).toEqual({
      status: "TEMP",
      reason: "MTA-STS policy of example.com names no usable MX pattern",
    });
  });

  it("defers a policy without patterns, which would leave match= empty", () => {
    expect(secure({ ...withMx("a.example"), mx: [] }, "3.4").status).toBe("TEMP");
  });

  it.each([
    ["x: {a}", "balanced braces"],
    ["x: }", "a closing brace"],
    ["x: { match = evil.example", "an open brace"],
    ["x: a } match=evil.example { policy_string = b", "braces that would end the attribute"],
  ])("leaves %j out of the policy strings: %s", (line) => {
    const { policyStrings } = parsed(policyOf(`${HEAD}${line}\nmx: a.example\n`), "3.10");
    expect(policyStrings).toEqual(["version: STSv1", "mode: enforce", "max_age: 86400", "mx: a.example"]);
  });

  it.each([
    ["mx:\ta.example", "a tab"],
    ["x: a\rb", "CR"],
    ["x: \0", "NUL"],
    ["x: \x7f", "DEL"],
    ["x: \x80", "the first C1 control"],
    ["x: a\x85b", "NEL, a C1 control"],
    ["x: \x9f", "the last C1 control"],
    ["x: \x0b", "a vertical tab"],
  ])("leaves %j out of the policy strings, wherever the text came from: %s", (line) => {
    const policy = { ...withMx("a.example"), text: `mode: enforce\n${line}\nx: y` };
    expect(parsed(policy, "3.10").policyStrings).toEqual(["mode: enforce", "x: y"]);
  });

  it("keeps what only looks like Postfix's grammar", () => {
    const lines = ["x: a, b match=c", "x: bücher\u00a0\u2028", 'x: "quoted" \\', "x: a=b=c"];
    const { policyStrings } = parsed(policyOf(`${HEAD}mx: a.example\n${lines.join("\r\n")}\r\n\r\n`), "3.10");
    expect(policyStrings.slice(4)).toEqual(lines);
  });

  it("leaves out white space at the end of lines and blank lines at the end of the file", () => {
    const { policyStrings } = parsed(policyOf(`${HEAD}mx: a.example \t\r\n\r\n`), "3.10");
    expect(policyStrings.at(-1)).toBe("mx: a.example");
  });

  it("never says mode testing or none by itself: the verdict has decided", () => {
    const policy: AppliedPolicy = { ...withMx("a.example"), mode: "testing" };
    expect(textOf(secure(policy, "3.4"))).toMatch(/^secure /);
  });
});

/** A policy of so many MX patterns of 12 characters each. */
const policyOfSize = (count: number, text = "mode: enforce"): AppliedPolicy => ({
  domain: "example.com",
  mode: "enforce",
  mx: Array.from({ length: count }, (_, at) => `${String(at).padStart(4, "0")}.example`),
  text,
});

describe("postfixReply of a policy near the limits", () => {
  it("keeps the strings up to the limit and drops them one byte beyond it", () => {
    const bare = textOf(secure(policyOfSize(10, ""), "3.10"));
    const room = MAX_REPLY_TEXT - bare.length - " { policy_string =  }".length;
    const fits = textOf(secure(policyOfSize(10, "x".repeat(room)), "3.10"));
    expect(fits.length).toBe(MAX_REPLY_TEXT);
    expect(fits).toContain("policy_string");
    expect(textOf(secure(policyOfSize(10, "x".repeat(room + 1)), "3.10"))).toBe(bare);
  });

  it("counts bytes and not characters", () => {
    const text = "ü".repeat(60_000);
    expect(textOf(secure(policyOfSize(1, text), "3.10"))).not.toContain("policy_string");
  });

  it("says all patterns up to the limit and defers beyond it, cutting nothing", () => {
    const room = MAX_REPLY_TEXT - "secure match= servername=hostname".length;
    const most = Math.floor((room + 1) / "0000.example:".length);
    expect(parsed(policyOfSize(most), "3.4").match).toEqual(policyOfSize(most).mx);
    expect(secure(policyOfSize(most + 1), "3.4")).toEqual({
      status: "TEMP",
      reason: `MTA-STS policy of example.com is too long for Postfix (${most + 1} MX patterns)`,
    });
  });

  it("defers with the attributes of 3.10 where those of 3.4 still fit", () => {
    expect(secure(policyOfSize(4_000), "3.4").status).toBe("OK");
    expect(secure(policyOfSize(4_000), "3.10").status).toBe("TEMP");
  });

  it("gives a reason that fits, for the longest domain too", () => {
    const domain = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(52)}`;
    expect(secure({ ...policyOfSize(1), domain, mx: [] }, "3.10").status).toBe("TEMP");
  });
});

describe("postfixReply of any valid policy", () => {
  it("passes the checker and says the MX list and nothing else", () => {
    fc.assert(
      fc.property(policyFile("enforce"), fc.constantFrom("3.4", "3.10"), ({ policy, text }, attributes) => {
        const applied: AppliedPolicy = { domain: "example.com", mode: "enforce", mx: policy.mx, text };
        const reply = postfixReply({ kind: "secure", policy: applied }, attributes);
        expect(checkReply(reply, attributes)).toEqual(expectedReply(applied, attributes));
      }),
      { numRuns: 1_000 },
    );
  });

  it("passes the checker for any text at all in the place of the file", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom(...Array.from("{}\n\r\t ,=:x\0\u0085")) }),
    );
    fc.assert(
      fc.property(text, (served) => {
        const { policyStrings: _, ...said } = parsed({ ...withMx("mx.example.com"), text: served }, "3.10");
        expect(said).toEqual({
          level: "secure",
          match: ["mx.example.com"],
          servername: "hostname",
          policyType: "sts",
          policyDomain: "example.com",
          mxHostPatterns: ["mx.example.com"],
        });
      }),
      { numRuns: 1_000 },
    );
  });
});
