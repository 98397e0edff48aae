import { expect, test } from "vitest";
import { packEntry, unpackEntry } from "../../src/lookup/packed-entry.ts";
import { entry, failure, pin } from "../store/entries.ts";

test.each([
  ["with a pin", entry("a.example", { pin: pin() })],
  ["with a failure", entry("a.example", { failure: failure() })],
  [
    "with both, in any script",
    entry("a.example", { pin: pin(), failure: failure({ detail: "“ü\u0000\n”" }) }),
  ],
  ["with neither", entry("a.example")],
])("an entry %s is unpacked as it was packed", (_, packed) => {
  expect(unpackEntry(packEntry(packed))).toStrictEqual(packed);
});
