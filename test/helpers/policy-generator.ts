/** Policy files made from the grammar of RFC 8461 §3.2, with what they say. */
import * as fc from "fast-check";
import type { Policy } from "../../src/policy/policy.ts";

export interface GeneratedPolicyFile {
  readonly policy: Policy;
  readonly text: string;
  /** A byte-order mark, or nothing. */
  readonly mark: string;
}

const REQUIRED = new Set(["version", "mode", "max_age", "mx"]);

const wsp = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 2 });

const eol = fc.constantFrom("\n", "\r\n");

/** In the case the owner likes. */
const mxPattern: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom("", "*."),
    fc.array(fc.stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,5}[A-Za-z0-9])?$/), { maxLength: 3 }),
    fc.oneof(fc.stringMatching(/^[a-z]{2,8}$/), fc.constantFrom("hostname", "nexthop", "dot-nexthop")),
  )
  .map(([star, labels, top]) => star + [...labels, top].join("."));

/** Any visible text with spaces inside, often such as means something to Postfix. */
const extensionValue = fc
  .oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.string({ unit: fc.constantFrom(...Array.from("{}=,:; *.mx")), maxLength: 20 }),
    fc.constantFrom(
      "match=evil.example",
      "} match=evil.example {",
      "} match=evil.example servername=evil.example { policy_string = x",
      "{ match = evil.example }",
      "a, match=evil.example",
      "a }, mx_host_pattern=*.evil.example",
      "secure match=nexthop",
      "policy_failure=validation-failure",
      "\\} match=evil.example",
      '"} match=evil.example"',
    ),
  )
  .map((text) => text.replace(/[\0-\x1f\x7f]/g, "").replace(/^ +| +$/g, ""))
  .filter((text) => text !== "");

const extensionLine = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9][\w.-]{0,31}$/), wsp, extensionValue, wsp)
  .filter(([key]) => !REQUIRED.has(key))
  .map(([key, before, value, after]) => `${key}:${before}${value}${after}`);

/** A valid policy file of any mode (or of `mode`), its lines in any order. */
export function policyFile(mode?: Policy["mode"]): fc.Arbitrary<GeneratedPolicyFile> {
  return fc
    .record({
      mode: mode === undefined ? fc.constantFrom("enforce", "testing", "none") : fc.constant(mode),
      maxAge: fc.nat({ max: 31_557_600 }),
      mx: fc.array(mxPattern, { minLength: 1, maxLength: 6 }),
      extensions: fc.array(extensionLine, { maxLength: 4 }),
      spaces: fc.array(fc.tuple(wsp, wsp), { minLength: 9, maxLength: 9 }),
      places: fc.array(fc.nat(), { minLength: 7, maxLength: 7 }),
      eols: fc.array(eol, { minLength: 13, maxLength: 13 }),
      end: fc.array(eol, { maxLength: 3 }),
      mark: fc.constantFrom("", "\ufeff"),
    })
    .map(({ mode: chosen, maxAge, mx, extensions, spaces, places, eols, end, mark }) => {
      const field = (key: string, value: string, at: number) =>
        `${key}:${spaces[at]?.[0]}${value}${spaces[at]?.[1]}`;
      const lines = mx.map((pattern, at) => field("mx", pattern, at));
      const others = [
        field("version", "STSv1", 6),
        field("mode", chosen, 7),
        field("max_age", String(maxAge), 8),
        ...extensions,
      ];
      // The mx lines keep their order, which the policy must keep too; the others go anywhere between them.
      for (const [at, line] of others.entries())
        lines.splice((places[at] ?? 0) % (lines.length + 1), 0, line);
      const text =
        lines.map((line, at) => (at === 0 ? line : `${eols[at - 1]}${line}`)).join("") + end.join("");
      return {
        policy: { mode: chosen, maxAge, mx: mx.map((pattern) => pattern.toLowerCase()) },
        text,
        mark,
      };
    });
}
