import { mxPatternMatches, parsePolicy, PolicyError } from "../../../src/policy/policy.ts";
import { attempt, rule, type FuzzTarget } from "../target.ts";
import { checkReplies } from "./replies.ts";

const INJECTIONS = [
  "}",
  "{",
  "} match=evil.example {",
  "match=nexthop",
  " servername=evil.example",
  "policy_failure=validation-failure",
  "hostname",
  "nexthop",
  "dot-nexthop",
  "*.hostname",
  "\0",
  "\x0b",
  "\x85",
  "\xc2\x85",
  "\xc2\xa0",
  "\xe2\x80\xa8",
  "\xc0\x80",
  "\xef\xbb\xbf",
  "\xed\xa0\x80",
];

export const policy: FuzzTarget = {
  name: "policy",
  maxLength: 2_000,
  dictionary: [
    "version: STSv1\n",
    "mode: enforce\n",
    "mode: testing\n",
    "mode: none\n",
    "mx: ",
    "mx: *.example.com\n",
    "max_age: 604800\n",
    "max_age: 99999999999\n",
    "\r\n",
    "\n",
    "\r",
    ":",
    " ",
    "\t",
    "*.",
    "example.com",
    "xn--",
    "1.2.3.4",
    "mx: mx.example.com\r\n",
    ...INJECTIONS,
  ],
  seeds: [
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
    "version: STSv1\nmode: none\nmax_age: 0\n",
    "\xef\xbb\xbfversion:STSv1\nmode:testing\nmx:nexthop\nmx:a.b\nx_y.z-1: } match=evil.example {\nmax_age: 1\n\n\n",
  ],
  check(input) {
    const { value, error } = attempt(() => parsePolicy(input), PolicyError);
    if (error !== undefined) {
      // Of the file itself it repeats no more than the name of a key.
      rule(/^[ -~\u2026]{1,160}$/.test(error.message), "a message that is not plain text");
      return;
    }
    const { policy: parsed, text } = value;
    const { mode, maxAge, mx } = parsed;
    rule(Number.isInteger(maxAge) && maxAge >= 0 && maxAge <= 31_557_600, "max_age out of range");
    rule(mode === "none" || mx.length > 0, "nothing to match");
    const again = parsePolicy(Buffer.from(text));
    rule(JSON.stringify(again) === JSON.stringify(value), "not stable");
    const lines = [
      "version: STSv1",
      `mode: ${mode}`,
      `max_age: ${maxAge}`,
      ...mx.map((pattern) => `mx: ${pattern}`),
    ];
    const rendered = parsePolicy(Buffer.from(lines.join("\n")));
    rule(JSON.stringify(rendered.policy) === JSON.stringify(parsed), "rendered and parsed, it is another");
    for (const pattern of mx) {
      const host = pattern.replace(/^\*/, "a");
      rule(mxPatternMatches(pattern, host), "a pattern that does not match its own host");
      rule(pattern === host || !mxPatternMatches(pattern, `b.${host}`), "* stands for more than one label");
    }
    if (mx.length > 0) checkReplies({ domain: "example.com", mode: "enforce", mx, text });
  },
};
