import { describe, expect, it } from "vitest";
import type { Reply } from "../../src/policy/reply.ts";
import { checkPolicyText, checkReply, checkSocketmapReply, checkTcpTableReply } from "./postfix-grammar.ts";
import type { PostfixVersion } from "./postfix-grammar.ts";

const BASE = "secure match=mx.example.com:.example.net servername=hostname";
const STS = `${BASE} policy_type=sts policy_domain=example.com`;
const PATTERNS = "mx_host_pattern=mx.example.com mx_host_pattern=*.example.net";
const L63 = "a".repeat(63);

const GOOD: [text: string, version: PostfixVersion, why: string][] = [
  ["secure", "3.7", "a level alone"],
  ["may", "3.7", "another level alone"],
  ["none", "3.7", "no TLS"],
  ["DANE", "3.7", "levels in any case"],
  ["dane-only", "3.7", "a level with a hyphen"],
  [BASE, "3.7", "what 3.4 understands"],
  ["secure, match=a.example,\tservername=hostname\r\n", "3.7", "every separator"],
  ["verify match=a.example match=b.example", "3.7", "match twice"],
  ["fingerprint match=ab:cd|ef:01", "3.7", "colons belong to a fingerprint"],
  ["secure ciphers=high protocols=>=TLSv1.2", "3.7", "attributes that stsmapd does not use"],
  ["secure MATCH=a.example", "3.7", "names in any case"],
  [`secure match=${L63}.example`, "3.7", "a label of 63"],
  ["secure match=xn--bcher-kva.example", "3.7", "A-labels"],
  ["secure match=1.2.3.example", "3.7", "numbers in front of a name"],
  [STS, "3.11", "what 3.10 understands"],
  [`${STS} ${PATTERNS}`, "3.11", "MX patterns"],
  [`${STS} { policy_string = mx: a.example }`, "3.11", "white space in braces"],
  [`${STS} {policy_string=x: a, b}`, "3.11", "a comma in braces"],
  [`${STS} { policy_string = x: a=b }`, "3.11", "a second equals sign belongs to the value"],
  [`${STS} { policy_string = x: {a} }`, "3.11", "balanced braces in braces"],
  [`${STS} { policy_string = x: bücher \u2028 }`, "3.11", "UTF-8 in a value"],
  ["dane policy_type=tlsa", "3.11", "a policy type on DANE"],
];

const BAD: [text: string, version: PostfixVersion, reason: string, why: string][] = [
  ["", "3.7", "empty policy", "nothing"],
  [" ,\t", "3.7", "empty policy", "separators only"],
  ["match=a.example", "3.7", "security level", "no level"],
  ["secured", "3.7", "security level", "unknown level"],
  ["none match=a.example", "3.7", "TLS disabled", "attributes without TLS"],
  ["secure match", "3.7", "malformed", "no equals sign"],
  ["secure =a.example", "3.7", "malformed", "no name"],
  ["secure colour=red", "3.7", "invalid attribute name", "unknown attribute"],
  ["secure match=", "3.7", "empty match", "empty match"],
  ["secure match= a.example", "3.7", "empty match", "white space outside of braces ends the value"],
  ["secure match=a.example::b.example", "3.7", "empty entry", "two colons"],
  ["secure match=a.example:", "3.7", "empty entry", "colon at the end"],
  ["fingerprint match=ab||cd", "3.7", "empty entry", "empty fingerprint"],
  ["may match=a.example", "3.7", "match at level may", "match where nothing is verified"],
  ["encrypt match=a.example", "3.7", "match at level encrypt", "the same"],
  ["dane match=a.example", "3.7", "match at level dane", "the same"],
  ["dane-only match=a.example", "3.7", "match at level dane-only", "the same"],
  ["secure match=192.0.2.1", "3.7", "no host name", "an IPv4 address"],
  ["secure match=[192.0.2.1]", "3.7", "no host name", "an address literal"],
  ["secure match=2001:db8::1", "3.7", "no host name", "an IPv6 address"],
  ["secure match=a.1", "3.7", "no host name", "a name that ends in a number"],
  ["secure match=*.example", "3.7", "no host name", "Postfix knows no asterisk here"],
  ["secure match=..example", "3.7", "no host name", "two dots"],
  ["secure match=.", "3.7", "no host name", "a dot alone"],
  ["secure match=a.example.", "3.7", "no host name", "a dot at the end"],
  ["secure match=-a.example", "3.7", "no host name", "hyphen first"],
  ["secure match=a-.example", "3.7", "no host name", "hyphen last"],
  [`secure match=${L63}a.example`, "3.7", "no host name", "a label of 64"],
  ["secure match=bücher.example", "3.7", "no host name", "a U-label"],
  ["secure match=hostname", "3.7", "strategy", "a strategy"],
  ["secure match=a.example:nexthop", "3.7", "strategy", "a strategy behind a name"],
  ["secure match=Dot-NextHop", "3.7", "strategy", "a strategy in any case"],
  ["secure servername=", "3.7", "empty servername", "empty SNI"],
  ["secure servername=a..b", "3.7", "no host name", "bad SNI"],
  ["secure servername=hostname servername=hostname", "3.7", "twice", "SNI twice"],
  ["secure { match = a.example }", "3.7", "braces", "braces before 3.10"],
  ["secure { match = a.example", "3.11", "unbalanced", "an open brace"],
  ["secure match=a.example}", "3.11", "unbalanced", "a closing brace"],
  ["secure } match=a.example {", "3.11", "unbalanced", "braces the wrong way round"],
  ["secure { match = a.example }x", "3.11", "closing brace", "text behind the brace"],
  ["secure {match=a.example}{match=b.example}", "3.11", "closing brace", "two groups in one token"],
  ["secure { match a.example }", "3.11", "malformed", "no equals sign in braces"],
  ["secure { match = }", "3.11", "empty match", "empty in braces"],
  [`${STS} { policy_string = a\tb }`, "3.11", "tab", "a tab in braces becomes a space"],
  [`${STS} { policy_string = a\nb }`, "3.11", "line break", "a line break in braces"],
  [`${BASE} policy_type=sts`, "3.7", "invalid attribute name", "policy_type before 3.10"],
  [`${BASE} policy_domain=example.com`, "3.7", "invalid attribute name", "policy_domain before 3.10"],
  [`${BASE} policy_string=x`, "3.7", "invalid attribute name", "policy_string before 3.10"],
  [`${BASE} mx_host_pattern=a.example`, "3.7", "invalid attribute name", "mx_host_pattern before 3.10"],
  [`${BASE} policy_domain=example.com`, "3.11", "without policy_type", "policy_domain alone"],
  [`${BASE} ${PATTERNS}`, "3.11", "without policy_type", "mx_host_pattern alone"],
  [`${STS} policy_type=sts`, "3.11", "twice", "policy_type twice"],
  [`${STS} policy_domain=example.com`, "3.11", "twice", "policy_domain twice"],
  [`${BASE} policy_type=mta-sts`, "3.11", "unexpected policy_type", "unknown policy type"],
  [`${BASE} policy_type=sts policy_domain=bücher.example`, "3.11", "no host name", "a U-label as domain"],
  [`${STS} policy_ttl=86400`, "3.11", "policy_ttl must never", "deprecated"],
  [`${STS} policy_failure=sts-policy-invalid`, "3.11", "policy_failure must never", "fails the handshake"],
  [`${STS} mx_host_pattern=.example.net`, "3.11", "no pattern", "a leading dot is for match only"],
  [`${STS} mx_host_pattern=*`, "3.11", "no pattern", "an asterisk alone"],
  [`${STS} mx_host_pattern=`, "3.11", "empty mx_host_pattern", "no pattern"],
  ["may policy_type=sts", "3.11", "level may", "success reported without a check"],
  ["dane policy_type=sts mx_host_pattern=a.example", "3.11", "DANE", "enforced on DANE hosts"],
  ["dane-only policy_type=sts mx_host_pattern=a.example", "3.11", "DANE", "the same"],
  ["secure match=a.example\0", "3.11", "control character", "NUL ends a C string"],
  [`${STS} { policy_string = a\x0bb }`, "3.11", "control character", "vertical tab"],
  [`${STS} { policy_string = a\x7fb }`, "3.11", "control character", "DEL"],
  [`${STS} { policy_string = a\ud800b }`, "3.11", "no UTF-8", "a lone surrogate"],
  [`${STS} { policy_string = ${"x".repeat(100_000)} }`, "3.11", "longer", "more than Postfix reads"],
];

const ok = (text: string, shortText = text): Reply => ({ status: "OK", text, shortText });
const check = (latin1: string, version?: PostfixVersion) =>
  checkSocketmapReply(Buffer.from(latin1, "latin1"), version);

describe("checkPolicyText", () => {
  it.each(GOOD)("takes %j (%s): %s", (text, version) => {
    expect(() => checkPolicyText(text, { version })).not.toThrow();
  });

  for (const [text, version, reason, why] of BAD) {
    it(`refuses ${JSON.stringify(text.slice(0, 80))} (${version}): ${why}`, () => {
      expect(() => checkPolicyText(text, { version })).toThrow(reason);
    });
  }

  it("gives back what the text says", () => {
    expect(checkPolicyText(`${STS} { policy_string = mx:  a , b } ${PATTERNS}`, { version: "3.11" })).toEqual(
      {
        level: "secure",
        match: ["mx.example.com", ".example.net"],
        servername: "hostname",
        policyType: "sts",
        policyDomain: "example.com",
        policyStrings: ["mx:  a , b"],
        mxHostPatterns: ["mx.example.com", "*.example.net"],
      },
    );
  });

  it("trims no more than ASCII white space from a value", () => {
    const { policyStrings } = checkPolicyText(`${STS} {  policy_string =  \u00a0x\u2028  }`, {
      version: "3.11",
    });
    expect(policyStrings).toEqual(["\u00a0x\u2028"]);
  });
});

describe("checkReply", () => {
  it("takes what stsmapd says", () => {
    expect(checkReply(ok(BASE), "3.4").status).toBe("OK");
    expect(checkReply(ok("dane"), "3.4").status).toBe("OK");
    expect(checkReply(ok("dane-only"), "3.10").status).toBe("OK");
    const full = `${STS} { policy_string = mode: enforce } ${PATTERNS}`;
    expect(checkReply(ok(full, `${STS} ${PATTERNS}`), "3.10").status).toBe("OK");
    expect(checkReply({ status: "NOTFOUND" }, "3.4")).toEqual({ status: "NOTFOUND" });
    expect(checkReply({ status: "TEMP", reason: "why" }, "3.4")).toEqual({ status: "TEMP", reason: "why" });
  });

  const refused: [reply: Reply, attributes: "3.4" | "3.10", reason: string, why: string][] = [
    [ok("may"), "3.4", "no level of stsmapd", "it weakens"],
    [ok("encrypt"), "3.4", "no level of stsmapd", "it verifies nothing"],
    [ok("secure servername=hostname"), "3.4", "without match", "Postfix's own match would apply"],
    [ok("secure match=a.example"), "3.4", "without servername", "the wrong certificate could be shown"],
    [ok("secure match=a.example servername=a.example"), "3.4", "without servername", "a fixed SNI"],
    [ok(STS), "3.4", "invalid attribute name", "attributes of 3.10 to 3.4"],
    [ok(BASE), "3.10", "without policy_type", "MX patterns not enforced"],
    [ok(`${BASE} policy_type=sts ${PATTERNS}`), "3.10", "without policy_domain", "no domain to report"],
    [ok(STS), "3.10", "differ", "no MX pattern"],
    [ok(`${STS} mx_host_pattern=mx.example.com`), "3.10", "differ", "one MX pattern missing"],
    [ok(`${STS} ${PATTERNS}`, BASE), "3.10", "shortText", "too much dropped"],
    [ok(BASE, "secure match=b.example servername=hostname"), "3.4", "shortText", "another policy"],
    [ok(BASE, ""), "3.4", "empty policy", "no short text"],
    [{ status: "TEMP", reason: "" }, "3.4", "no reason", "the admin sees nothing"],
    [{ status: "TEMP", reason: "a".repeat(201) }, "3.4", "longer", "Postfix would cut it"],
    [{ status: "TEMP", reason: "a\nb" }, "3.4", "printable", "a line break"],
    [{ status: "TEMP", reason: "bücher" }, "3.4", "printable", "not ASCII"],
  ];
  it.each(refused)("refuses %j to %s (%s): %s", (reply, attributes, reason) => {
    expect(() => checkReply(reply, attributes)).toThrow(reason);
  });
});

describe("checkSocketmapReply", () => {
  it("takes the three replies", () => {
    expect(check(`OK ${BASE}`, "3.7")).toMatchObject({ status: "OK", policy: { level: "secure" } });
    expect(check("NOTFOUND ")).toEqual({ status: "NOTFOUND" });
    expect(check("TEMP no DNS")).toEqual({ status: "TEMP", reason: "no DNS" });
  });

  it.each([
    ["", "neither", "nothing"],
    ["OK", "neither", "no space"],
    ["OK ", "empty policy", "no policy"],
    ["ok secure", "neither", "wrong case"],
    ["OK secure match=b\xfccher.example", "UTF-8", "latin1"],
    ["OK \xef\xbb\xbfsecure", "security level", "a byte-order mark is data"],
    ["NOTFOUND", "neither", "the space belongs to it"],
    ["NOTFOUND nothing", "neither", "text behind NOTFOUND"],
    ["TEMP", "neither", "no space, no reason"],
    ["TEMP ", "no reason", "no reason"],
    [`TEMP ${"a".repeat(201)}`, "longer", "a reason that Postfix cuts"],
    ["PERM no", "neither", "stsmapd never says PERM"],
    [`OK ${"a".repeat(99_998)}`, "longer", "100,001 bytes"],
  ])("refuses %j (%s): %s", (latin1, reason) => {
    expect(() => check(latin1)).toThrow(reason);
  });

  it("holds the reply against the asking version", () => {
    expect(() => check(`OK ${STS}`, "3.7")).toThrow("invalid attribute name");
  });
});

describe("checkTcpTableReply", () => {
  it("takes the three replies", () => {
    const policy = { level: "secure", match: ["a.example"], servername: "hostname" };
    const found = checkTcpTableReply("200 secure%20match=a.example%20servername=hostname", "3.7");
    expect(found).toMatchObject({ status: "OK", policy });
    expect(checkTcpTableReply("500 not%20found")).toEqual({ status: "NOTFOUND" });
    expect(checkTcpTableReply("400 50%25%2c%2C")).toEqual({ status: "TEMP", reason: "50%,," });
  });

  it.each([
    ["", "no text", "nothing"],
    ["200 ", "no text", "no policy"],
    ["500 ", "no text", "malformed to Postfix"],
    ["400 ", "no text", "no reason"],
    ["500", "no text", "no space"],
    ["200\tsecure", "neither", "a tab behind the status"],
    ["300 secure", "neither", "unknown status"],
    ["200 secure match=a.example", "percent", "a space in clear"],
    ["200 secure%2", "percent", "half an escape"],
    ["200 secure%zz", "percent", "no hex"],
    ["200 sec\u00fcre", "percent", "not ASCII"],
    ["200 secure\n", "percent", "a newline inside"],
    ["200 secure%FF", "UTF-8", "not UTF-8"],
    ["200 secure%20match=", "empty match", "a policy that Postfix refuses"],
    [`200 ${"a".repeat(4_092)}`, "longer", "4,097 bytes with the newline"],
    [`400 ${"a".repeat(201)}`, "longer", "a reason that Postfix cuts"],
  ])("refuses %j (%s): %s", (line, reason) => {
    expect(() => checkTcpTableReply(line)).toThrow(reason);
  });
});
