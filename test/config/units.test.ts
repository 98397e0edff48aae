import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/units.ts";

describe("parseDuration", () => {
  it.each([
    ["500ms", 500],
    ["20s", 20_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["60d", 5_184_000_000],
    ["90s", 90_000],
    ["0s", 0],
    [20, 20_000], // a number is seconds
    ["20", 20_000], // so is a number in quotes
  ])("reads %j as %d milliseconds", (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each([
    [""],
    ["s"], // no number
    ["5 m"], // a space
    ["5M"], // units are lower case
    ["1.5h"], // no fractions: write 90m
    [1.5], // no fractions of a second either: write 1500ms
    ["-5s"],
    [-5],
    ["1h30m"], // one unit only
    ["5w"], // weeks vary in no way, but are not offered
    ["constructor"], // not what the table of units inherits
    ["1constructor"],
    ["99999999999999d"], // more milliseconds than a number holds
    [Number.NaN],
    [Infinity],
    [true],
    [null],
    [undefined],
    [["20s"]],
    [{}],
  ])("refuses %j", (value) => {
    expect(() => parseDuration(value)).toThrow(
      /is no duration \(500ms, 20s, 5m, 1h, 60d, or whole seconds\)$/,
    );
  });
});

describe("parseSize", () => {
  it.each([
    ["64KiB", 65_536],
    ["1MiB", 1_048_576],
    ["1GiB", 1_073_741_824],
    ["100B", 100],
    [65_536, 65_536], // a number is bytes
  ])("reads %j as %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ["64kb"], // 1000 or 1024? not offered
    ["64kib"], // units are written as IEC 80000-13 has them
    ["64 KiB"],
    ["0.5MiB"],
    [-1],
    [1.5],
    ["20s"],
  ])("refuses %j", (value) => {
    expect(() => parseSize(value)).toThrow(/is no size/);
  });
});

describe("formatting", () => {
  it.each([
    [0, "0s"],
    [1, "1ms"],
    [1500, "1500ms"],
    [60_000, "1m"],
    [90_000, "90s"],
    [86_400_000, "1d"],
    [90_000_000, "25h"],
  ])("writes %d milliseconds as %s", (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  it.each([
    [0, "0B"],
    [1000, "1000B"],
    [65_536, "64KiB"],
    [1_048_576, "1MiB"],
  ])("writes %d bytes as %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  it("is undone by parsing", () => {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (amount) => {
        expect(parseDuration(formatDuration(amount))).toBe(amount);
        expect(parseSize(formatSize(amount))).toBe(amount);
      }),
    );
  });
});
