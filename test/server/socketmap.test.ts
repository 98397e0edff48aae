import { describe, expect, it } from "vitest";
import { NOT_FOUND, temporaryFailure, type Reply } from "../../src/policy/reply.ts";
import { encodeSocketmapReply, parseSocketmapRequest, socketmap } from "../../src/server/socketmap.ts";
import { answerToNetstring } from "./parsing.ts";

const ok = (text: string): Reply => ({ status: "OK", text, shortText: text });

describe("a socketmap request", () => {
  it.each<[string, { map: string; key: string }]>([
    ["postfix example.com", { map: "postfix", key: "example.com" }],
    ["postfix [192.0.2.1]:25", { map: "postfix", key: "[192.0.2.1]:25" }],
    ["postfix a b", { map: "postfix", key: "a b" }], // the first space separates
    ["postfix ", { map: "postfix", key: "" }],
    [" example.com", { map: "", key: "example.com" }],
  ])("%j", (content, asked) => {
    const request = parseSocketmapRequest(content);
    expect(request).toMatchObject({ question: asked });
  });

  it.each(["example.com", ""])("without a map name (%j) is answered PERM with the reason", (content) => {
    const protocol = socketmap({
      lookup: () => {
        throw new Error("must not be asked");
      },
    });
    expect(answerToNetstring(protocol, content)).toMatch(/^\d+:PERM malformed request: .+,$/);
  });
});

describe("a socketmap reply", () => {
  it.each<[Reply, string]>([
    [ok("secure match=a.example servername=hostname"), "45:OK secure match=a.example servername=hostname,"],
    [NOT_FOUND, "9:NOTFOUND ,"], // the space belongs to it
    [temporaryFailure("no answer"), "14:TEMP no answer,"],
    [ok("é"), "5:OK \xc3\xa9,"], // the length counts octets
  ])("%j", (reply, octets) => {
    expect(encodeSocketmapReply(reply)).toBe(octets);
  });

  it("carries a policy of 95,000 bytes and defers a longer one, never cut", () => {
    expect(encodeSocketmapReply(ok("x".repeat(95_000)))).toMatch(/^95003:OK x+,$/);
    expect(encodeSocketmapReply(ok("x".repeat(95_001)))).toMatch(
      /^\d+:TEMP the TLS policy is too long \(95001/,
    );
    expect(encodeSocketmapReply(ok("é".repeat(47_501)))).toMatch(/^\d+:TEMP /);
  });
});

describe("socketmap", () => {
  it("answers at once what is known at once, and the rest later", async () => {
    const protocol = socketmap({
      lookup: ({ map, key }) => (map === "postfix" ? ok(key) : Promise.resolve(NOT_FOUND)),
    });
    expect(answerToNetstring(protocol, "postfix a b")).toBe("6:OK a b,");
    const later = answerToNetstring(protocol, "other a");
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toBe("9:NOTFOUND ,");
  });

  it("encodes the same reply to the same request once", () => {
    let reads = 0;
    const reply: Reply = {
      status: "OK",
      shortText: "",
      get text() {
        reads += 1;
        return "secure";
      },
    };
    const protocol = socketmap({ lookup: () => reply });
    const answers = ["m a", "m a", "m a"].map((content) => answerToNetstring(protocol, content));
    expect(answers).toEqual(["9:OK secure,", "9:OK secure,", "9:OK secure,"]);
    expect(reads).toBe(1);
  });
});
