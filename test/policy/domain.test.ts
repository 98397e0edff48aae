import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isHostName, policyDomain } from "../../src/policy/domain.ts";

const L63 = "a".repeat(63);
/** 244 characters: with `_mta-sts.` in front the longest name there can be. */
const LONGEST = `${L63}.${L63}.${L63}.${"a".repeat(52)}`;

/** Keys as characters; they are sent as UTF-8 octets. */
const DOMAINS: [key: string, domain: string, why: string][] = [
  ["example.com", "example.com", "a recipient domain"],
  ["EXAMPLE.Com", "example.com", "Postfix does not lower-case"],
  ["example.com.", "example.com", "a final dot"],
  ["a.b.c.d.example", "a.b.c.d.example", "many labels"],
  ["example.com:25", "example.com", "a port"],
  ["example.com:submission", "example.com", "a service name"],
  ["example.com:mail-2", "example.com", "a service name with a hyphen and a digit"],
  ["example.com.:25", "example.com", "a final dot and a port"],
  ["[mx.example.com]", "mx.example.com", "an explicit host"],
  ["[mx.example.com]:587", "mx.example.com", "an explicit host and a port"],
  ["[mx.example.com]:smtp", "mx.example.com", "an explicit host and a service name"],
  ["[MX.example.com.]", "mx.example.com", "an explicit host with a final dot"],
  ["_x.example.com", "_x.example.com", "an underscore: Postfix takes it for a host name"],
  ["a_b.example.com", "a_b.example.com", "an underscore inside"],
  ["a--b.example.com", "a--b.example.com", "two hyphens"],
  ["1.example.com", "1.example.com", "a label of digits"],
  ["192.0.2.1.example", "192.0.2.1.example", "an address in front of a name"],
  ["example.c0m", "example.c0m", "a digit in the last label"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example", "A-labels"],
  ["XN--BCHER-KVA.example", "xn--bcher-kva.example", "A-labels in upper case"],
  ["bücher.example", "xn--bcher-kva.example", "U-labels"],
  ["BÜCHER.example", "xn--bcher-kva.example", "U-labels in upper case"],
  ["bu\u0308cher.example", "xn--bcher-kva.example", "a combining diaeresis"],
  ["bücher.example:25", "xn--bcher-kva.example", "U-labels and a port"],
  ["[bücher.example]:25", "xn--bcher-kva.example", "U-labels in brackets"],
  ["bücher\u3002example", "xn--bcher-kva.example", "an ideographic full stop is a dot (UTS 46)"],
  ["ｅxample.com", "example.com", "a full-width letter is the letter (UTS 46)"],
  ["xn--bcher-kva.müller.example", "xn--bcher-kva.xn--mller-kva.example", "A- and U-labels mixed"],
  ["例え.テスト", "xn--r8jz45g.xn--zckzah", "all of it foreign"],
  ["straße.example", "xn--strae-oqa.example", "ß stays (non-transitional)"],
  ["a\u00adb.example", "ab.example", "a soft hyphen is nothing (UTS 46)"],
  [`${L63}.example`, `${L63}.example`, "a label of 63"],
  [`a${"\u00ad".repeat(125)}.example`, "a.example", "a label of 251 octets of UTF-8"],
  [
    `${"\u{1f600}".repeat(56)}.example`,
    `xn--e28h${"a".repeat(55)}.example`,
    "a label of 63 out of 224 octets",
  ],
  [LONGEST, LONGEST, "the longest name"],
  [`${LONGEST}.`, LONGEST, "the longest name with a final dot"],
  [`[${LONGEST}]:submission`, LONGEST, "the longest name in brackets with a service name"],
  [`example.com:${"5".repeat(1_128)}`, "example.com", "a key of 1,140 octets"],
];

const NO_DOMAINS: [key: string, why: string][] = [
  ["", "empty"],
  [".", "a dot"],
  ["..", "two dots"],
  [" ", "white space"],
  ["localhost", "a single label"],
  ["localhost.", "a single label with a final dot"],
  ["com:25", "a single label with a port"],
  ["[localhost]", "a single label in brackets"],
  [".example.com", "a parent that Postfix asks for by itself"],
  [".com", "the last parent"],
  [".bücher.example", "a parent with U-labels"],
  ["example..com", "an empty label"],
  ["example.com..", "two final dots"],
  ["192.0.2.1", "an IPv4 address"],
  ["192.0.2.1:25", "an IPv4 address and a port"],
  ["[192.0.2.1]", "an IPv4 literal"],
  ["[192.0.2.1]:25", "an IPv4 literal and a port"],
  ["[192.0.2.1.]", "an IPv4 literal with a final dot"],
  ["192.0.2.\u0661", "an IPv4 address with an Arabic digit"],
  ["１９２.0.2.1", "an IPv4 address with full-width digits"],
  ["0x7f.１", "an IPv4 address to the URL parser"],
  ["[IPv6:2001:db8::1]", "an IPv6 literal"],
  ["[IPv6:2001:db8::1]:25", "an IPv6 literal and a port"],
  ["[2001:db8::1]", "an IPv6 literal without its tag"],
  ["[::ffff:192.0.2.1]", "an IPv4 address within IPv6"],
  ["2001:db8::1", "an IPv6 address"],
  ["::1", "a short IPv6 address"],
  ["example.123", "a top-level domain of digits"],
  ["1.2.3", "digits only"],
  ["/var/run/lmtp.sock", "a path for LMTP"],
  ["var/run/lmtp.sock", "a relative path"],
  ["unix:/var/run/lmtp.sock", "a path with its tag"],
  ["private/lmtp.example", "a path that ends as a domain does"],
  ["[", "an open bracket"],
  ["[]", "empty brackets"],
  ["[]:25", "empty brackets and a port"],
  ["]", "a closing bracket"],
  ["[a.b", "no closing bracket"],
  ["a.b]", "no opening bracket"],
  ["[[a.b]]", "two pairs of brackets"],
  ["x[a.b]", "text in front of the brackets"],
  ["[a.b]x", "text behind the brackets"],
  ["[a.b]25", "a port without its colon"],
  ["[a.b]:", "no port behind the colon"],
  ["[a.b]:25:25", "two ports"],
  ["[a.b]x:25", "text between the bracket and the port"],
  ["[a.b:25]", "a port inside the brackets"],
  ["a.b:", "no port behind the colon"],
  ["a.b:25:25", "two ports"],
  ["a.b:2 5", "white space in the port"],
  [":25", "a port only"],
  ["a.b c.d", "white space"],
  ["a.b\tc.d", "a tab"],
  [" a.b", "white space in front"],
  ["a.b ", "white space behind"],
  ["a.b\n", "a line feed behind"],
  ["a.b\0", "NUL"],
  ["a\0.b", "NUL inside"],
  ["a.b,c.d", "a comma"],
  ["user@a.b", "an address of mail"],
  ["@a.b", "an address of mail without its user"],
  ["https://a.b", "a URL"],
  ["a.b/c", "a path behind"],
  ["a.b?c", "a query behind"],
  ["a.b#c", "a fragment behind"],
  ["*.a.b", "a wildcard"],
  ["{a.b}", "braces"],
  ["-a.b", "hyphen first"],
  ["a-.b", "hyphen last"],
  ["a.-b", "hyphen first in the last label"],
  ["%61.b", "a percent-escape"],
  ["%61.bücher.example", "a percent-escape beside foreign letters"],
  ["bücher%2eexample.com", "an escaped dot beside foreign letters"],
  ["bücher.example/x", "a path behind foreign letters"],
  ["bücher.example?x", "a query behind foreign letters"],
  ["bücher.example#x", "a fragment behind foreign letters"],
  ["bücher.example\\x", "a backslash behind foreign letters"],
  ["bücher.example\tx", "a tab, which the URL parser drops"],
  ["bücher.exam\nple", "a line feed, which the URL parser drops"],
  ["x@bücher.example", "a user in front of foreign letters"],
  ["bücher.example\uff0fx", "a full-width slash"],
  ["bücher.example\uff1a25", "a full-width colon"],
  ["％41.bücher.example", "a full-width percent sign"],
  ["bücher\u00a0.example", "NBSP"],
  ["bücher.\u200b", "a label that UTS 46 makes empty"],
  ["bücher", "a single label of foreign letters"],
  ["bücher..example", "an empty label beside foreign letters"],
  ["xn--a.bücher.example", "an A-label that decodes to nothing"],
  ["\u2028.example", "a line separator"],
  ["\ud83d\ude00 .example", "white space beside an emoji"],
  [`${L63}a.example`, "a label of 64"],
  [`${"ü".repeat(63)}.example`, "U-labels longer than 63 as A-label"],
  [`a${"\u00ad".repeat(126)}.example`, "a label of 253 octets, although soft hyphens are nothing"],
  [`a${"\u00ad".repeat(130)}.b\u3002example`, "the same before an ideographic full stop"],
  [`${`a${"\u00ad".repeat(100)}.`.repeat(5)}example`, "a name of 1,017 octets"],
  [`${LONGEST}a`, "no room for _mta-sts in front"],
  [`${L63}.${L63}.${L63}.${L63}`, "a name of 255"],
  ["a.".repeat(5_000), "a key as long as Postfix sends"],
  [`example.com:${"5".repeat(1_129)}`, "a key of 1,141 octets"],
];

/** Keys that are not UTF-8. */
const BAD_OCTETS: [key: string, why: string][] = [
  ["b\xfccher.example", "latin1"],
  ["a\xff.example", "an octet that UTF-8 never uses"],
  ["\xc3.example", "a sequence cut short"],
  ["a\xc0\xae.example", "an overlong dot"],
  ["\xed\xa0\x80.example", "a surrogate"],
  ["\xef\xbb\xbf", "a byte-order mark only"],
];

const asOctets = (key: string) => Buffer.from(key).toString("latin1");

describe("policyDomain", () => {
  it.each(DOMAINS)("finds in %j the domain %s: %s", (key, domain) => {
    expect(policyDomain(asOctets(key))).toBe(domain);
  });

  for (const [key, why] of NO_DOMAINS) {
    it(`finds no domain in ${JSON.stringify(key.slice(0, 80))}: ${why}`, () => {
      expect(policyDomain(asOctets(key))).toBeUndefined();
    });
  }

  it.each(BAD_OCTETS)("finds no domain in the octets %j: %s", (key) => {
    expect(policyDomain(key)).toBeUndefined();
  });

  const key = fc.oneof(
    fc.string({ unit: "binary" }).map(asOctets),
    fc.uint8Array().map((octets) => Buffer.from(octets).toString("latin1")),
    fc.string({ unit: fc.constantFrom(...Array.from("aB1.-_:[]%\u00e9\u3002\u0661 ")) }).map(asOctets),
    fc.domain(),
  );

  it("never throws, and gives nothing but host names that have a parent", () => {
    fc.assert(
      fc.property(key, (octets) => {
        const domain = policyDomain(octets);
        if (domain === undefined) return;
        expect(domain).toMatch(/^[a-z0-9_][a-z0-9_.-]*\.[a-z0-9_-]*[a-z_][a-z0-9_-]*$/);
        expect(domain.length).toBeLessThanOrEqual(244);
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives the same domain for every way to write the next hop", () => {
    fc.assert(
      fc.property(fc.domain(), fc.constantFrom("", ".", ":25", ":smtp"), (name, suffix) => {
        const domain = policyDomain(name);
        expect(policyDomain(name.toUpperCase() + suffix)).toBe(domain);
        expect(policyDomain(`[${name}]:25`)).toBe(domain);
        expect(policyDomain(domain ?? "")).toBe(domain);
      }),
    );
  });
});

describe("isHostName", () => {
  it.each([
    ["mx.example.com", true, "a host"],
    ["localhost", true, "a single label"],
    ["a-b.example", true, "a hyphen inside"],
    ["1.example", true, "a label of digits"],
    [`${L63}.${L63}.${L63}.${"a".repeat(61)}`, true, "253 characters"],
    [`${L63}.${L63}.${L63}.${"a".repeat(59)}.aa`, false, "254 characters"],
    [`${L63}a`, false, "a label of 64"],
    ["", false, "empty"],
    ["mx.example.com.", false, "a final dot"],
    [".example.com", false, "a leading dot"],
    ["a_b.example", false, "an underscore, which RFC 5321 does not know"],
    ["-a.example", false, "hyphen first"],
    ["a-.example", false, "hyphen last"],
    ["192.0.2.1", false, "an IPv4 address"],
    ["2001:db8::1", false, "an IPv6 address"],
    ["mx.example.com\n", false, "a line feed behind"],
  ])("%j: %s (%s)", (name, expected) => {
    expect(isHostName(name)).toBe(expected);
  });
});
