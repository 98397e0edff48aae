import { describe, expect, it } from "vitest";
import { policyDomain } from "../../src/policy/domain.ts";
import { parsePolicy, policyLines } from "../../src/policy/policy.ts";
import { postfixReply } from "../../src/policy/postfix-reply.ts";
import { findRecord } from "../../src/policy/record.ts";

const SMALL = 64 * 1024;
const HEAD = "version: STSv1\nmode: none\nmax_age: 1\n";

/** Milliseconds of processor time, the best of three runs. */
function cost(run: () => void): number {
  const times = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...times);
}

function parse(text: string): void {
  try {
    parsePolicy(Buffer.from(text));
  } catch {
    // How a hostile file is refused is no matter here.
  }
}

function reply(text: string): void {
  const policy = { domain: "example.com", mode: "enforce", mx: ["mx.example.com"], text } as const;
  postfixReply({ kind: "secure", policy }, "3.10");
}

const times = (what: string) => (length: number) => what.repeat(length / what.length);

const HOSTILE: [what: string, run: (length: number) => void][] = [
  ["a policy value of spaces", (n) => parse(`${HEAD}x: ${times(" ")(n)}y`)],
  ["a policy value of spaces with a control character at its end", (n) => parse(`x: ${times("y ")(n)}\0`)],
  ["a policy of spaces at the end of a line", (n) => parse(`${HEAD}x: y${times(" ")(n)}`)],
  ["a policy of spaces only", (n) => parse(times(" ")(n))],
  ["a policy of line feeds", (n) => parse(times("\n")(n))],
  ["a policy of line feeds at the end", (n) => parse(`${HEAD}${times("\n")(n)}`)],
  ["a policy of CRLF at the end", (n) => parse(`${HEAD}${times("\r\n")(n)}`)],
  ["a policy of CR", (n) => parse(`${HEAD}x: ${times("\r")(n)}y`)],
  ["a policy of colons", (n) => parse(times(":")(n))],
  ["a policy key of any length", (n) => parse(times("x")(n))],
  ["a policy of extensions", (n) => parse(HEAD + times("x:y\n")(n))],
  ["a policy of mx lines", (n) => parse(HEAD + times("mx: a.b\n")(n))],
  ["an mx of dots", (n) => parse(`${HEAD}mx: ${times("a.")(n)}`)],
  ["an mx of hyphens", (n) => parse(`${HEAD}mx: a${times("-")(n)}`)],
  ["a max_age of digits", (n) => parse(`max_age: ${times("1")(n)}x`)],
  ["lines of CR", (n) => void policyLines(`${times("\r")(n)}x`)],
  ["a record of spaces", (n) => void findRecord([`v=STSv1${times(" ")(n)}`])],
  ["a record with spaces in a field", (n) => void findRecord([`v=STSv1; x${times(" ")(n)}y`])],
  ["a record of semicolons", (n) => void findRecord([`v=STSv1${times(";")(n)}`])],
  ["a record of fields", (n) => void findRecord([`v=STSv1;${times("a=b;")(n)}`])],
  ["a record of equals signs", (n) => void findRecord([`v=STSv1;${times("=")(n)}`])],
  ["a key of colons", (n) => void policyDomain(times(":")(n))],
  ["a key of ports", (n) => void policyDomain(times(":a")(n))],
  ["a key of one long port", (n) => void policyDomain(`:${times("a")(n)}!`)],
  ["a key of brackets", (n) => void policyDomain(times("[")(n))],
  ["a key of ports behind brackets", (n) => void policyDomain(`[a]${times(":a")(n)}!`)],
  ["a key of dots", (n) => void policyDomain(times("a.")(n))],
  ["a key of foreign letters", (n) => void policyDomain(times("\xc3\xbc")(n))],
  ["a reply to a text of spaces", (n) => reply(`x: ${times(" ")(n)}`)],
  ["a reply to a text of spaces inside a line", (n) => reply(`x: ${times(" ")(n)}}`)],
  ["a reply to a text of lines", (n) => reply(times("x\n")(n))],
];

describe("time grows with the length of", () => {
  it.each(HOSTILE)("%s", (_, run) => {
    // Four times the length is sixteen times the work where it grows with the square: seconds at this size.
    expect(cost(() => run(4 * SMALL))).toBeLessThan(10 * cost(() => run(SMALL)) + 50);
  });
});
