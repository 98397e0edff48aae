import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse, parseDocument } from "yaml";
import { parseConfig } from "../../src/config.ts";
import type { Field } from "../../src/config/fields.ts";
import { schema } from "../../src/config/schema.ts";
import { isSection } from "../../src/config/section.ts";

const example = readFileSync(new URL("../../stsmapd.example.yaml", import.meta.url), "utf8");
/** As if the administrator had taken away the "#" before every key; "# " begins a remark. */
const uncommented = example.replaceAll(/^( *)#(?=[^ #\n])/gm, "$1");
/** The service as systemd runs it: the example says so for store.path. */
const env = { STATE_DIRECTORY: "/var/lib/stsmapd" };

/** Every key of the schema, as paths; of lists and maps the top key only. */
function keysOf(fields: Readonly<Record<string, Field<unknown>>>, above: string[] = []): string[][] {
  return Object.entries(fields).flatMap(([key, field]) =>
    isSection(field) ? keysOf(field.fields, [...above, key]) : [[...above, key]],
  );
}

describe("stsmapd.example.yaml", () => {
  it("changes nothing as it is", () => {
    expect(parseConfig(example, "example", env)).toEqual(parseConfig("", "none", env));
  });

  it("changes nothing with every key uncommented: they all have their default", () => {
    expect(parseConfig(uncommented, "example", env)).toEqual(parseConfig("", "none", env));
  });

  it.each(keysOf(schema.fields).map((path) => ({ path })))("has the key $path", ({ path }) => {
    expect(parseDocument(uncommented).hasIn(path)).toBe(true);
  });

  it("has no key that is not commented out", () => {
    expect(parse(example)).toEqual(Object.fromEntries(Object.keys(schema.fields).map((key) => [key, null])));
  });

  it.each(["protocol", "address", "map", "mode", "owner", "group"])(
    "explains the key %s of a listener",
    (key) => {
      expect(example).toMatch(new RegExp(`^#   ${key} `, "m"));
      expect(example).toMatch(new RegExp(`^#   - \\{.*\\b${key}: `, "m"));
    },
  );
});
