/** Which override is for a domain, and when it has run out. */
import { describe, expect, it } from "vitest";
import { Overrides } from "../../src/lookup/overrides.ts";
import type { Override } from "../../src/policy/override.ts";
import { Clock, DAY } from "../helpers/clock.ts";

const clock = new Clock();
const now = clock.now();

function override(domain: string, until?: number): Override {
  return { domain, action: { kind: "off" }, until, comment: undefined };
}

describe("find", () => {
  it.each<[string, string | undefined, readonly string[]]>([
    ["d.example", "d.example", ["d.example"]],
    ["sub.d.example", undefined, ["d.example"]], // an exact name is for itself alone
    ["d.example", ".d.example", [".d.example"]], // it …
    ["a.b.d.example", ".d.example", [".d.example"]], // … and all below
    ["xd.example", undefined, [".d.example"]], // a label is whole
    ["d.example", "d.example", [".d.example", "d.example"]], // the exact name goes first
    ["a.d.example", ".a.d.example", [".d.example", ".a.d.example", ".example"]], // then the nearest
    ["b.d.example", ".d.example", [".d.example", ".a.d.example", ".example"]],
    ["other.example", ".example", [".d.example", ".example"]],
    ["example", ".example", [".example"]],
    ["d.example", undefined, []],
  ])("for %s is %s", (domain, found, names) => {
    const overrides = new Overrides(
      names.map((name) => override(name)),
      () => {},
    );
    expect(overrides.find(domain, now)?.domain).toBe(found);
  });

  it("passes over one that has run out, says so once, and takes the next", () => {
    const expired: string[] = [];
    const overrides = new Overrides(
      [override("d.example", now), override(".d.example", now + DAY)],
      ({ domain }) => expired.push(domain),
    );
    expect(overrides.find("d.example", now - 1)?.domain).toBe("d.example");
    expect(expired).toEqual([]);
    for (let i = 0; i < 3; i++) expect(overrides.find("d.example", now)?.domain).toBe(".d.example");
    expect(expired).toEqual(["d.example"]);
    expect(overrides.find("d.example", now + DAY)).toBeUndefined();
    expect(expired).toEqual(["d.example", ".d.example"]);
  });
});

/** Overrides, and what they tell of being applied. */
function watched(overrides: readonly Override[]) {
  const told: string[] = [];
  const note = ({ domain: name }: Override, domain: string) => told.push(`${domain} by ${name}`);
  return { told, overrides: new Overrides(overrides, () => {}, note) };
}

describe("apply", () => {
  it("tells once of each domain that is answered by an override, and of none that is only looked at", () => {
    const { told, overrides } = watched([override("d.example", now + DAY), override(".example")]);
    overrides.find("d.example", now);
    overrides.apply("d.test", now);
    expect(told).toEqual([]);
    for (let i = 0; i < 3; i++) expect(overrides.apply("d.example", now)?.domain).toBe("d.example");
    overrides.apply("e.example", now);
    overrides.apply("d.example", now + DAY); // the first has run out
    expect(told).toEqual(["d.example by d.example", "e.example by .example", "d.example by .example"]);
  });

  it("tells of 1,000 domains, and applies to all", () => {
    const { told, overrides } = watched([override(".example")]);
    for (let n = 0; n < 1_100; n++) expect(overrides.apply(`d${n}.example`, now)).toBeDefined();
    expect(told).toHaveLength(1_000);
  });
});
