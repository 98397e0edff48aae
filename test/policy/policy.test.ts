import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  MAX_MAX_AGE,
  PolicyError,
  mxPatternMatches,
  parsePolicy,
  policyLines,
} from "../../src/policy/policy.ts";
import type { Policy, PolicyErrorCode } from "../../src/policy/policy.ts";
import { policyFile } from "../helpers/policy-generator.ts";

const GOOD_LINES = ["version: STSv1", "mode: enforce", "mx: mx.example.com", "max_age: 86400"];
const GOOD: Policy = { mode: "enforce", maxAge: 86_400, mx: ["mx.example.com"] };
const HEAD = "version: STSv1\nmode: enforce\nmax_age: 86400\n";
const L63 = "a".repeat(63);
const NAME_253 = `${L63}.${L63}.${L63}.${"a".repeat(61)}`;
const EXTENSION_31 = `x${"y".repeat(31)}`;

const file = (...lines: string[]) => lines.join("\n");
const withMx = (...mx: string[]) => HEAD + mx.map((pattern) => `mx: ${pattern}\n`).join("");
const withMaxAge = (value: string) => file("version: STSv1", "mode: none", `max_age: ${value}`);
const withExtension = (line: string) => file(...GOOD_LINES, line);

/** What a file says where that is not just GOOD. */
const VALID: [text: string, said: Partial<Policy>, why: string][] = [
  [file(...GOOD_LINES), {}, "no terminator at the end"],
  [`${file(...GOOD_LINES)}\n`, {}, "a terminator at the end"],
  [GOOD_LINES.join("\r\n"), {}, "CRLF"],
  [`${GOOD_LINES.join("\r\n")}\r\n`, {}, "CRLF at the end too"],
  [`${GOOD_LINES.slice(0, 2).join("\r\n")}\r\n${GOOD_LINES.slice(2).join("\n")}`, {}, "CRLF and LF mixed"],
  [`${file(...GOOD_LINES)}\n\n`, {}, "a blank line at the end"],
  [`${file(...GOOD_LINES)}\n\r\n\n\r\n`, {}, "several blank lines at the end"],
  [`\ufeff${file(...GOOD_LINES)}`, {}, "a byte-order mark"],
  [file(...GOOD_LINES.toReversed()), {}, "any order"],
  [GOOD_LINES.map((line) => line.replace(": ", ":")).join("\n"), {}, "no white space behind the colon"],
  [GOOD_LINES.map((line) => line.replace(": ", ": \t ")).join("\n"), {}, "much white space behind it"],
  [GOOD_LINES.map((line) => `${line} \t`).join("\n"), {}, "white space at the end of lines"],
  [file("version: STSv1", "mode: none", "max_age: 86400"), { mode: "none", mx: [] }, "none needs no mx"],
  [file("mode: none", ...GOOD_LINES), { mode: "none" }, "none with mx; of two modes the first counts"],
  [file("mode: testing", ...GOOD_LINES), { mode: "testing" }, "testing"],
  [file(...GOOD_LINES, "mode: bogus"), {}, "a repeated mode is not looked at"],
  [file(...GOOD_LINES, "version: STSv2"), {}, "a repeated version is not looked at"],
  [file(...GOOD_LINES, "max_age: -1"), {}, "a repeated max_age is not looked at"],
  [file("max_age: 5", ...GOOD_LINES), { maxAge: 5 }, "of two max_age the first counts"],
  [file(...GOOD_LINES, "mx: *.example.net"), { mx: ["mx.example.com", "*.example.net"] }, "every mx counts"],
  [file(...GOOD_LINES, "mx: mx.example.com"), { mx: [...GOOD.mx, ...GOOD.mx] }, "the same mx twice stays"],
  [withMx("b.example", "a.example"), { mx: ["b.example", "a.example"] }, "mx in the file's order"],
  [withMx("MX.Example.COM"), {}, "mx in upper case"],
  [withMx("*.EXAMPLE.com"), { mx: ["*.example.com"] }, "a wildcard in upper case"],
  [withMx("*.com"), { mx: ["*.com"] }, "a wildcard below a single label"],
  [withMx("localhost"), { mx: ["localhost"] }, "a single label is a domain name"],
  [withMx("xn--bcher-kva.example"), { mx: ["xn--bcher-kva.example"] }, "A-labels"],
  [withMx("1.example"), { mx: ["1.example"] }, "a label of digits"],
  [withMx("1.2.3.4.example"), { mx: ["1.2.3.4.example"] }, "an address in front of a name"],
  [withMx("a--b.example"), { mx: ["a--b.example"] }, "two hyphens"],
  [withMx(`${L63}.example`), { mx: [`${L63}.example`] }, "a label of 63"],
  [withMx(NAME_253), { mx: [NAME_253] }, "a name of 253"],
  [withMx("hostname"), { mx: ["hostname"] }, "a word that Postfix gives a meaning is just a name here"],
  [withMaxAge("0"), { mode: "none", maxAge: 0, mx: [] }, "the smallest max_age"],
  [withMaxAge("0000000007"), { mode: "none", maxAge: 7, mx: [] }, "leading zeros, 10 digits"],
  [withMaxAge("31557600"), { mode: "none", maxAge: MAX_MAX_AGE, mx: [] }, "the longest max_age"],
  [withMaxAge("31557601"), { mode: "none", maxAge: MAX_MAX_AGE, mx: [] }, "one more: held down, not refused"],
  [
    withMaxAge("9999999999"),
    { mode: "none", maxAge: MAX_MAX_AGE, mx: [] },
    "the largest number of 10 digits",
  ],
  [withExtension("x: y"), {}, "an extension"],
  [withExtension("x:y"), {}, "an extension without white space"],
  [withExtension("x: y z  !"), {}, "spaces inside a value"],
  [withExtension("x: a:b: c"), {}, "colons inside a value"],
  [withExtension("x: bücher 日本 😀"), {}, "UTF-8 in a value"],
  [
    withExtension("x: a\u00a0b\u2028c\u0085d\ufeff"),
    {},
    "Unicode's white space and line ends are characters",
  ],
  [withExtension("x: \u00a0"), {}, "NBSP alone is a value"],
  [withExtension("x: {match=a}, b"), {}, "Postfix's grammar means nothing here"],
  [withExtension(`${EXTENSION_31}: y`), {}, "a key of 32"],
  [withExtension("0_-.: y"), {}, "all kinds of characters in a key"],
  [withExtension("Mode: testing"), {}, "keys are case-sensitive: Mode is an extension"],
  [withExtension("MX: *"), {}, "MX is an extension"],
  [withExtension(`x: ${"y".repeat(60_000)}`), {}, "a long value"],
];

/** `line` is undefined where the fault is that a line is missing. */
const INVALID: [text: string, code: PolicyErrorCode, line: number | undefined, why: string][] = [
  ["", "syntax", 1, "empty"],
  ["\n", "syntax", 1, "a blank line only"],
  ["\ufeff", "syntax", 1, "a byte-order mark only"],
  [`\ufeff\ufeff${file(...GOOD_LINES)}`, "syntax", 1, "two byte-order marks"],
  [file("version: STSv1", "\ufeffmode: none", "max_age: 1"), "syntax", 2, "a byte-order mark inside"],
  ["<!doctype html>", "syntax", 1, "a web page"],
  [file("", ...GOOD_LINES), "syntax", 1, "a blank line at the start"],
  [file("version: STSv1", "", "mode: none", "max_age: 1"), "syntax", 2, "a blank line in the middle"],
  [`${file(...GOOD_LINES)}\n \n`, "syntax", 5, "a line of white space is not blank"],
  [GOOD_LINES.join("\r"), "syntax", 1, "CR alone ends no line"],
  [GOOD_LINES.join("\n\r"), "syntax", 2, "LF CR"],
  [GOOD_LINES.join("\r\r\n"), "syntax", 1, "CR CRLF"],
  [`${file(...GOOD_LINES)}\r`, "syntax", 4, "CR alone at the end"],
  [GOOD_LINES.join("\u2028"), "version", 1, "U+2028 ends no line"],
  [GOOD_LINES.join("\u2029"), "version", 1, "U+2029 ends no line"],
  [GOOD_LINES.join("\u0085"), "version", 1, "U+0085 ends no line"],
  [GOOD_LINES.join("\u000b"), "syntax", 1, "a vertical tab ends no line"],
  [GOOD_LINES.join("\u000c"), "syntax", 1, "a form feed ends no line"],
  [GOOD_LINES.join("; "), "version", 1, "the record's delimiter"],
  [file(...GOOD_LINES.slice(1)), "version", undefined, "no version"],
  [file("version: STSv2", ...GOOD_LINES), "version", 1, "another version first"],
  [file("version: stsv1", ...GOOD_LINES.slice(1)), "version", 1, "version in lower case"],
  [file("version: STSv1;", ...GOOD_LINES.slice(1)), "version", 1, "a semicolon"],
  [file("version: STSv1\u00a0", ...GOOD_LINES.slice(1)), "version", 1, "NBSP is no white space"],
  [file("version:\u00a0STSv1", ...GOOD_LINES.slice(1)), "version", 1, "the same in front"],
  [file("version: \ufeffSTSv1", ...GOOD_LINES.slice(1)), "version", 1, "a byte-order mark is no white space"],
  [file("version: STSv1\u000b", ...GOOD_LINES.slice(1)), "syntax", 1, "a vertical tab is no white space"],
  [file("Version: STSv1", ...GOOD_LINES.slice(1)), "version", undefined, "key in another case"],
  [file("v: STSv1", ...GOOD_LINES.slice(1)), "version", undefined, "the record's key"],
  [file("version=STSv1", ...GOOD_LINES.slice(1)), "syntax", 1, "the record's separator"],
  [file("version : STSv1", ...GOOD_LINES.slice(1)), "syntax", 1, "white space in front of the colon"],
  [file(" version: STSv1", ...GOOD_LINES.slice(1)), "syntax", 1, "white space in front of the key"],
  [file("version:", ...GOOD_LINES.slice(1)), "syntax", 1, "no value"],
  [file("version: \t", ...GOOD_LINES.slice(1)), "syntax", 1, "white space for a value"],
  [file("version: STSv1", "max_age: 1"), "mode", undefined, "no mode"],
  [file("version: STSv1", "mode: Enforce", "max_age: 1"), "mode", 2, "mode in another case"],
  [file("version: STSv1", "mode: NONE", "max_age: 1"), "mode", 2, "mode in upper case"],
  [file("version: STSv1", "mode: report", "max_age: 1"), "mode", 2, "the word of an early draft"],
  [file("version: STSv1", "mode: enforce testing", "max_age: 1"), "mode", 2, "two modes in one line"],
  [file("version: STSv1", "mode: constructor", "max_age: 1"), "mode", 2, "a word of JavaScript"],
  [file("version: STSv1", "mode: bad", "mode: enforce"), "mode", 2, "the first counts, and it is bad"],
  [file("version: STSv1", "mode: none"), "max_age", undefined, "no max_age"],
  [withMaxAge("00000000001"), "max_age", 3, "11 digits"],
  [withMaxAge("-1"), "max_age", 3, "negative"],
  [withMaxAge("+1"), "max_age", 3, "a plus sign"],
  [withMaxAge("1.0"), "max_age", 3, "a fraction"],
  [withMaxAge("1e5"), "max_age", 3, "an exponent"],
  [withMaxAge("0x10"), "max_age", 3, "hexadecimal"],
  [withMaxAge("1_000"), "max_age", 3, "JavaScript's separator"],
  [withMaxAge("86 400"), "max_age", 3, "white space inside"],
  [withMaxAge("1d"), "max_age", 3, "a unit"],
  [withMaxAge("٣"), "max_age", 3, "an Arabic digit"],
  [withMaxAge("１"), "max_age", 3, "a full-width digit"],
  [withMaxAge("Infinity"), "max_age", 3, "a number to JavaScript only"],
  [HEAD, "mx", undefined, "enforce without mx"],
  [HEAD.replace("enforce", "testing"), "mx", undefined, "testing without mx"],
  [withMx(""), "syntax", 4, "an empty mx"],
  [withMx("*"), "mx", 4, "an asterisk alone"],
  [withMx("*."), "mx", 4, "an asterisk and a dot"],
  [withMx("."), "mx", 4, "a dot"],
  [withMx(".example.com"), "mx", 4, "Postfix's way to write it"],
  [withMx("*.*.example.com"), "mx", 4, "two wildcards"],
  [withMx("mx.*.example.com"), "mx", 4, "a wildcard in the middle"],
  [withMx("mx*.example.com"), "mx", 4, "a wildcard inside a label"],
  [withMx("*mx.example.com"), "mx", 4, "a wildcard in front of a label"],
  [withMx("*example.com"), "mx", 4, "no dot behind the wildcard"],
  [withMx("mx.example.com."), "mx", 4, "a dot at the end"],
  [withMx("mx..example.com"), "mx", 4, "an empty label"],
  [withMx("mx_1.example.com"), "mx", 4, "an underscore"],
  [withMx("-mx.example.com"), "mx", 4, "hyphen first"],
  [withMx("mx-.example.com"), "mx", 4, "hyphen last"],
  [withMx(`${L63}a.example`), "mx", 4, "a label of 64"],
  [withMx(`a${NAME_253}`), "mx", 4, "a label of 64 and a name of 254"],
  [withMx(`${L63}.${L63}.${L63}.${"a".repeat(60)}.a`), "mx", 4, "a name of 254"],
  [withMx("192.0.2.1"), "mx", 4, "an IPv4 address"],
  [withMx("[192.0.2.1]"), "mx", 4, "an address literal"],
  [withMx("*.0.2.1"), "mx", 4, "a wildcard over addresses"],
  [withMx("2001:db8::1"), "mx", 4, "an IPv6 address"],
  [withMx("[IPv6:2001:db8::1]"), "mx", 4, "an IPv6 literal"],
  [withMx("mx.example.123"), "mx", 4, "a top-level domain of digits"],
  [withMx("bücher.example"), "mx", 4, "a U-label"],
  [withMx("mx.example\u3002com"), "mx", 4, "an ideographic full stop"],
  [withMx("m\u212a.example"), "mx", 4, "the Kelvin sign, whose lower case is k"],
  [withMx("mx.example.com, mx.example.net"), "mx", 4, "a list"],
  [withMx("mx.example.com mx.example.net"), "mx", 4, "two in one line"],
  [withMx("mx.example.com:25"), "mx", 4, "a port"],
  [withMx("https://mx.example.com"), "mx", 4, "a URL"],
  [withMx("postmaster@example.com"), "mx", 4, "an address of mail"],
  [withMx("a.example", "b.example", "*"), "mx", 6, "the third of three"],
  [withMx("a.example}"), "mx", 4, "a brace"],
  [withMx("%6dx.example"), "mx", 4, "a percent-escape"],
  [file(...GOOD_LINES.with(1, "mode: none"), "mx: *"), "mx", 5, "mx is checked with none too"],
  [withExtension("x"), "syntax", 5, "no colon"],
  [withExtension(":"), "syntax", 5, "a colon only"],
  [withExtension(": y"), "syntax", 5, "no key"],
  [withExtension("x:"), "syntax", 5, "an extension without a value"],
  [withExtension("x y: z"), "syntax", 5, "white space in a key"],
  [withExtension("_x: y"), "syntax", 5, "a key begins with a letter or digit"],
  [withExtension("é: y"), "syntax", 5, "UTF-8 in a key"],
  [withExtension(`${EXTENSION_31}y: z`), "syntax", 5, "a key of 33"],
  [withExtension("# comment"), "syntax", 5, "there are no comments"],
  [withExtension("x: a\tb"), "syntax", 5, "a tab inside a value"],
  [withExtension("x: a\0b"), "syntax", 5, "NUL in a value"],
  [withExtension("x: a\x7fb"), "syntax", 5, "DEL in a value"],
  [withExtension("x: \x1b[31mred"), "syntax", 5, "an escape sequence"],
  [file("version: STSv1\0", ...GOOD_LINES.slice(1)), "syntax", 1, "NUL behind the version"],
  [withMx("mx.example.com\0"), "syntax", 4, "NUL behind an mx"],
];

/** Octets that stand in the value of an extension. */
const NOT_UTF8: [octets: number[], why: string][] = [
  [[0xff], "an octet that UTF-8 never uses"],
  [[0xe9], "latin1"],
  [[0x80], "a continuation alone"],
  [[0xc3], "a sequence cut short"],
  [[0xc0, 0xaf], "an overlong slash"],
  [[0xe0, 0x80, 0x8a], "an overlong line feed"],
  [[0xc0, 0x80], "an overlong NUL"],
  [[0xed, 0xa0, 0x80], "a high surrogate"],
  [[0xed, 0xb0, 0x80], "a low surrogate"],
  [[0xf4, 0x90, 0x80, 0x80], "beyond U+10FFFF"],
];

/** The policy, or the error that parsePolicy() may throw. Any other error goes on. */
function outcome(octets: Uint8Array): Policy | PolicyError {
  try {
    return parsePolicy(octets).policy;
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
}

function failure(octets: Uint8Array): PolicyError {
  const result = outcome(octets);
  if (result instanceof PolicyError) return result;
  throw new Error("was not refused");
}

describe("parsePolicy", () => {
  for (const [text, said, why] of VALID) {
    it(`reads ${JSON.stringify(text.slice(0, 120))}: ${why}`, () => {
      const parsed = parsePolicy(Buffer.from(text));
      expect(parsed.policy).toEqual({ ...GOOD, ...said });
      expect(parsed.text).toBe(text.replace(/^\ufeff/, ""));
    });
  }

  for (const [text, code, line, why] of INVALID) {
    it(`refuses ${JSON.stringify(text.slice(0, 120))} for its ${code}: ${why}`, () => {
      const error = failure(Buffer.from(text));
      expect({ code: error.code, line: error.line }).toEqual({ code, line });
      expect(error.message).toMatch(line === undefined ? /^[^:]+$/ : new RegExp(`^line ${line}: .`));
    });
  }

  it.each(NOT_UTF8)("refuses the octets %j: %s", (octets) => {
    const error = failure(Buffer.concat([Buffer.from(withExtension("x: a")), Buffer.from(octets)]));
    expect(error.code).toBe("encoding");
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it("refuses UTF-16", () => {
    expect(failure(Buffer.from(`\ufeff${file(...GOOD_LINES)}`, "utf16le")).code).toBe("encoding");
  });

  it("reads 64 KiB of mx lines", () => {
    const mx = Array.from({ length: 3_000 }, (_, at) => `mx${at}.example.com`);
    const octets = Buffer.from(withMx(...mx));
    expect(octets.length).toBeGreaterThan(60_000);
    expect(parsePolicy(octets).policy.mx).toEqual(mx);
  });

  it("throws nothing but PolicyError, whatever the octets", () => {
    const fragments = fc.array(
      fc.oneof(
        fc.constantFrom(
          "version: STSv1",
          "mode: enforce",
          "mode: none",
          "max_age: 1",
          "mx: a.b",
          "\n",
          "\r\n",
        ),
        fc.string({ unit: fc.constantFrom(...Array.from(":=*. \t\r\n\0\u00a0\u2028\ufeffamx")) }),
      ),
    );
    const octets = fc.oneof(
      fc.uint8Array(),
      fragments.map((parts) => Buffer.from(parts.join(""))),
      fragments.map((parts) => Buffer.from(parts.join("\n"))),
    );
    fc.assert(
      fc.property(octets, (body) => {
        const result = outcome(body);
        expect(result instanceof PolicyError || result.maxAge <= MAX_MAX_AGE).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads every file that the grammar can make", () => {
    fc.assert(
      fc.property(policyFile(), ({ policy, text, mark }) => {
        expect(parsePolicy(Buffer.from(mark + text))).toEqual({ policy, text });
      }),
      { numRuns: 500 },
    );
  });
});

describe("policyLines", () => {
  it.each([
    ["a\nb", ["a", "b"], "LF"],
    ["a\r\nb\r\n", ["a", "b"], "CRLF, with the last terminator"],
    ["a\rb\u2028c\u0085d", ["a\rb\u2028c\u0085d"], "nothing else ends a line"],
    ["a\n\nb\n\n\r\n", ["a", "", "b"], "blank lines at the end do not count, others do"],
    ["", [""], "an empty file is one empty line"],
  ])("splits %j into %j: %s", (text, lines) => {
    expect(policyLines(text)).toEqual(lines);
  });
});

describe("mxPatternMatches", () => {
  it.each([
    ["mx.example.com", "mx.example.com", true, "the name itself"],
    ["mx.example.com", "mx2.example.com", false, "another name"],
    ["mx.example.com", "a.mx.example.com", false, "a name below"],
    ["example.com", "mx.example.com", false, "no wildcard, no subdomain"],
    ["*.example.com", "mx.example.com", true, "one label more"],
    ["*.example.com", "a.mx.example.com", false, "two labels more"],
    ["*.example.com", "example.com", false, "no label more"],
    ["*.example.com", ".example.com", false, "an empty label"],
    ["*.example.com", "mxexample.com", false, "the dot counts"],
    ["*.example.com", "mx.example.com.evil.example", false, "the pattern is at the end"],
    ["*.com", "example.com", true, "a wildcard below a single label"],
    ["*.example.com", "*.example.com", true, "an asterisk is a label like any other"],
    ["localhost", "localhost", true, "single labels"],
    ["*.com", "com", false, "a host without a dot"],
    ["mx.example.com", "", false, "no host"],
  ])("%s and %s: %s (%s)", (pattern, host, matches) => {
    expect(mxPatternMatches(pattern, host)).toBe(matches);
  });

  it("agrees with a comparison label by label", () => {
    const name = fc.array(fc.constantFrom("a", "b", "mx", "aa"), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(name, name, fc.boolean(), (patternLabels, host, wildcard) => {
        const labels = wildcard ? ["*", ...patternLabels] : patternLabels;
        const expected =
          labels.length === host.length && labels.every((label, at) => label === "*" || label === host[at]);
        expect(mxPatternMatches(labels.join("."), host.join("."))).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});
