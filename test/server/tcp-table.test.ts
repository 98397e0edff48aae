import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NOT_FOUND, temporaryFailure, type Reply } from "../../src/policy/reply.ts";
import {
  encodeTcpTableReply,
  LineParser,
  percentDecode,
  percentEncode,
  tcpTable,
} from "../../src/server/tcp-table.ts";
import { asText } from "../../src/server/request-parser.ts";
import { answerTo, cuts, outcome } from "./parsing.ts";

const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const ok = (text: string, shortText = text): Reply => ({ status: "OK", text, shortText });

describe("percent encoding", () => {
  it.each<[string, string]>([
    ["example.com:25", "example.com:25"],
    ["a b", "a%20b"],
    ["100%", "100%25"],
    ["\t\r\n\0\x1f\x7f", "%09%0D%0A%00%1F%7F"],
    ["\xc3\xa9\xff", "%C3%A9%FF"],
    ["{ a = b }", "{%20a%20=%20b%20}"],
    ["", ""],
  ])("of %j", (plain, encoded) => {
    expect(percentEncode(plain)).toBe(encoded);
    expect(percentDecode(encoded)).toBe(plain);
  });

  it.each<[string, string | undefined]>([
    ["%c3%A9%fF", "\xc3\xa9\xff"], // either case
    ["%41", "A"], // even what need not be encoded
    ["%2541", "%41"], // once, not twice
    ["%", undefined],
    ["%4", undefined],
    ["%4g", undefined],
    ["%%41", undefined],
    ["% 41", undefined],
    ["%+1", undefined], // parseInt would take it
    ["a b", undefined], // should have been encoded
    ["a\r", undefined], // CRLF is not the protocol's
    ["a\xff", undefined],
  ])("reads %j", (text, plain) => {
    expect(percentDecode(text)).toBe(plain);
  });

  it("gives back what was encoded, as printable ASCII", () => {
    fc.assert(
      fc.property(octets, (plain) => {
        const encoded = percentEncode(plain);
        expect(encoded).toMatch(/^[!-~]*$/);
        expect(percentDecode(encoded)).toBe(plain);
      }),
    );
  });

  it("never throws on what it reads", () => {
    fc.assert(
      fc.property(fc.oneof(octets, fc.stringMatching(/^[%0-9a-f ]*$/)), (text) => {
        expect(() => percentDecode(text)).not.toThrow();
      }),
    );
  });
});

describe("LineParser", () => {
  const lines = fc.array(fc.oneof(octets, fc.constantFrom("\n", "get a\n")), { maxLength: 8 });

  it.each<[string, string[], string?]>([
    ["get a\n", ["get a"]],
    ["get a\nget b\nget", ["get a", "get b"]],
    ["\n\n", ["", ""]],
    ["get a\r\n", ["get a\r"]], // the CR is part of the line
    ["12345678\n", ["12345678"]], // as long as the limit
    ["123456789\n", [], "too-long"],
    ["a\n123456789", ["a"], "too-long"], // before its newline comes
  ])("%j", (input, requests, error) => {
    expect(outcome(new LineParser(8, asText), [input])).toEqual({ requests, error });
  });

  it("does not care where the stream is cut", () => {
    fc.assert(
      fc.property(lines, fc.infiniteStream(fc.nat(8)), (parts, sizes) => {
        const input = parts.join("");
        expect(outcome(new LineParser(40, asText), cuts(input, sizes))).toEqual(
          outcome(new LineParser(40, asText), [input]),
        );
      }),
    );
  });

  it("takes nothing more after a line that was too long", () => {
    const parser = new LineParser(3, asText);
    parser.push(Buffer.from("abcd"));
    expect(() => parser.next()).toThrow("longer than 3 bytes");
    parser.push(Buffer.from("\nab\n"));
    expect(parser.next()).toBeUndefined();
  });
});

describe("a tcp_table request", () => {
  const protocol = tcpTable({ lookup: ({ map, key }) => ok(`${map}/${key}`) }, "postfix310");

  it.each<[string, string]>([
    ["get example.com", "200 postfix310/example.com\n"],
    ["get a%20b%c3%A9", "200 postfix310/a%20b%C3%83%C2%A9\n"], // the text of a reply is Unicode, a key is octets
    ["get ", "200 postfix310/\n"],
    ["get a b", "400 malformed%20request"],
    ["get a%2", "400 malformed%20request"],
    ["get example.com\r", "400 malformed%20request"],
    ["get", "400 malformed%20request"],
    ["GET a", "400 malformed%20request"],
    ["", "400 malformed%20request"],
    ["HELO example.com", "400 malformed%20request"],
    ["put a b", "500 put%20is%20not%20supported"],
  ])("%j", (line, reply) => {
    expect(answerTo(protocol, `${line}\n`)).toSatisfy((answer: string) => answer.startsWith(reply));
  });

  it("may have a key of 10,000 octets, all of them encoded", () => {
    expect(answerTo(protocol, `get ${"%ff".repeat(10_000)}\n`)).toMatch(/^400 \S+socketmap\n$/);
  });

  it("is answered later when the lookup takes its time", async () => {
    const slow = tcpTable({ lookup: () => Promise.resolve(NOT_FOUND) }, "postfix");
    expect(await answerTo(slow, "get a\n")).toBe("500 not%20found\n");
  });
});

describe("a tcp_table reply", () => {
  it.each<[Reply, string]>([
    [ok("secure match=a.example:.b.example"), "200 secure%20match=a.example:.b.example\n"],
    [ok("é"), "200 %C3%A9\n"],
    [NOT_FOUND, "500 not%20found\n"], // never without a text
    [temporaryFailure("no answer"), "400 no%20answer\n"],
  ])("%j", (reply, line) => {
    expect(encodeTcpTableReply(reply)).toBe(line);
  });

  it("fills 4,096 bytes with its newline and no more", () => {
    const fits = "x".repeat(4_096 - "200 \n".length);
    expect(encodeTcpTableReply(ok(fits))).toHaveLength(4_096);
    expect(encodeTcpTableReply(ok(`${fits}x`))).toMatch(/^400 \S+socketmap\n$/);
    expect(encodeTcpTableReply(ok(" ".repeat(1_400)))).toMatch(/^400 /); // counted after encoding
  });

  it("goes without the policy_string attributes when only that fits", () => {
    expect(encodeTcpTableReply(ok("x".repeat(5_000), "secure"))).toBe("200 secure\n");
  });

  it("is one line of at most 4,096 bytes whatever the lookup says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 2_000 }), (text) => {
        const line = encodeTcpTableReply(ok(text));
        expect(line).toMatch(/^[245]00 [!-~]*\n$/);
        expect(line.length).toBeLessThanOrEqual(4_096);
      }),
    );
  });
});
