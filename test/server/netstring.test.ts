import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeNetstring, NetstringParser } from "../../src/server/netstring.ts";
import { asText, ProtocolError } from "../../src/server/request-parser.ts";
import { cuts, outcome } from "./parsing.ts";

const LIMIT = 10_000;
const parser = () => new NetstringParser(LIMIT, asText);
const octets = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
/** Mostly digits, colons and commas: what may get far into the parser. */
const almostNetstrings = fc
  .array(fc.constantFrom(...Array.from("0123456789:,,::a\n ")), { maxLength: 60 })
  .map((chars) => chars.join(""));

describe("what a netstring is", () => {
  it.each<[string, string[], string?]>([
    ["5:hello,", ["hello"]],
    ["0:,", [""]], // the only length that may begin with zero
    ["5:hello,5:world,", ["hello", "world"]],
    ["3:a,b,", ["a,b"]], // a comma inside is content
    ["3:1:a,", ["1:a"]], // so is a netstring
    ["2:\xff\x00,", ["\xff\x00"]], // any octet is
    ["10:0123456789,", ["0123456789"]],
    ["", []],
    ["5", []], // not yet
    ["5:", []],
    ["5:hello", []], // the comma is still to come
    ["5:hello,3:", ["hello"]],
    ["00:,", [], "bad-length"],
    ["05:hello,", [], "bad-length"],
    ["5:hello,05:world,", ["hello"], "bad-length"], // what came before counts
    [":,", [], "bad-length"], // no digit
    ["-1:a,", [], "bad-length"],
    ["+1:a,", [], "bad-length"],
    [" 1:a,", [], "bad-length"],
    ["1 :a,", [], "bad-length"],
    ["0x1:a,", [], "bad-length"],
    ["1.0:a,", [], "bad-length"],
    ["\n", [], "bad-length"],
    ["1:a,\n", ["a"], "bad-length"], // nothing stands between netstrings
    ["1:a\n", [], "no-comma"],
    ["1:ab,", [], "no-comma"],
    ["10001:", [], "too-long"], // before its content comes
    ["99999", [], "too-long"], // and before its colon
    ["100000000000000000000", [], "too-long"],
  ])("%j", (input, requests, error) => {
    expect(outcome(parser(), [input])).toEqual({ requests, error });
  });

  it("may be as long as the limit", () => {
    const content = "x".repeat(LIMIT);
    expect(outcome(parser(), [encodeNetstring(content)])).toEqual({ requests: [content], error: undefined });
  });
});

describe("NetstringParser", () => {
  it("keeps of large chunks only what is unfinished", () => {
    const kept = parser();
    const large = encodeNetstring("x".repeat(LIMIT)).repeat(6);
    for (const chunk of [`${large}6:one`, `two,${large}6:three`]) {
      kept.push(Buffer.from(chunk));
      while (kept.next() !== undefined);
      kept.keep();
    }
    expect(Reflect.get(kept, "octets")).toEqual(Buffer.from("6:three"));
  });

  it("takes nothing more once the stream is broken", () => {
    const broken = parser();
    broken.push(Buffer.from("1:ab,"));
    expect(() => broken.next()).toThrow(ProtocolError);
    broken.push(Buffer.from("5:hello,"));
    expect(broken.next()).toBeUndefined();
  });

  it("does not care where the stream is cut", () => {
    fc.assert(
      fc.property(fc.oneof(octets, almostNetstrings), fc.infiniteStream(fc.nat(8)), (input, sizes) => {
        expect(outcome(parser(), cuts(input, sizes))).toEqual(outcome(parser(), [input]));
      }),
    );
  });

  it("gives back what was encoded, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(octets, { maxLength: 10 }), fc.infiniteStream(fc.nat(40)), (contents, sizes) => {
        const stream = contents.map(encodeNetstring).join("");
        expect(outcome(parser(), cuts(stream, sizes))).toEqual({ requests: contents, error: undefined });
      }),
    );
  });

  it("throws nothing but ProtocolError", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(octets, almostNetstrings), { maxLength: 5 }), (chunks) => {
        expect(() => outcome(parser(), chunks)).not.toThrow();
      }),
    );
  });
});
