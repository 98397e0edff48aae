import * as fc from "fast-check";
import { expect, it } from "vitest";
import { RecentRequests } from "../../src/server/recent-requests.ts";

/** Reads a request to an object with its text; `parsed` has those that were parsed. */
function setUp() {
  const parsed: string[] = [];
  const recent = new RecentRequests((text) => {
    parsed.push(text);
    return { text };
  });
  const find = (text: string) => recent.find(Buffer.from(text, "latin1"), 0, text.length);
  return { recent, find, parsed };
}

it("parses a request once, wherever its octets lie", () => {
  const { recent, find, parsed } = setUp();
  const first = find("postfix a.example");
  expect(recent.find(Buffer.from("17:postfix a.example,"), 3, 20)).toBe(first);
  expect(parsed).toEqual(["postfix a.example"]);
});

it("never takes one request for another", () => {
  const { find } = setUp();
  // Far more requests than places, and much alike.
  for (const round of [1, 2]) {
    for (let n = 0; n < 10_000; n++) {
      const text = `postfix d${n}.example`;
      expect(find(text).text, `round ${round}`).toBe(text);
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 140 }), (octets) => {
      const text = Buffer.from(octets).toString("latin1");
      expect(find(text).text).toBe(text);
    }),
  );
});

it("parses nearly none of a thousand requests twice, though some share a hash", () => {
  const { find, parsed } = setUp();
  for (let n = 0; n < 2_000; n++) find(`postfix d${n % 1_000}.example`);
  expect(parsed.length).toBeLessThan(1_050);
});

it("keeps no long request", () => {
  const { find, parsed } = setUp();
  find("x".repeat(128));
  find("x".repeat(128));
  find("x".repeat(129));
  find("x".repeat(129));
  expect(parsed.map((text) => text.length)).toEqual([128, 129, 129]);
});

it("keeps some where more is asked in turn than there is room for", () => {
  const { find, parsed } = setUp();
  const askAll = () => {
    for (let n = 0; n < 20_000; n++) find(`postfix d${n}.example`);
  };
  askAll();
  askAll();
  const before = parsed.length;
  askAll();
  expect(parsed.length - before).toBeLessThan(16_000);
});
