import { isDeepStrictEqual } from "node:util";
import { ConfigError, parseConfig, renderConfig } from "../../../src/config.ts";
import { attempt, rule, type FuzzTarget } from "../target.ts";

const ENVIRONMENT = { HOME: "/nonexistent" };

export const configuration: FuzzTarget = {
  name: "configuration",
  maxLength: 1_500,
  dictionary: [
    "listen:\n",
    "  - { protocol: socketmap, address: ",
    "store: { path: /x }\n",
    "lookup: { deadline: 1s }\n",
    "dane: { ",
    "maps:\n",
    "overrides:\n",
    "fetch: { proxy: ",
    "log: { level: debug }\n",
    "tlsrpt: { collector: ",
    "freshness: { recheck_min: 1m }\n",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "!!js ",
    "? ",
    "- ",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "#",
    "null",
    "~",
    "1d",
    "64KiB",
    "off",
    "enforce",
    "\t",
    "\x00",
    "\xe2\x80\xa8",
    "  ",
    "unix:/run/x",
    "127.0.0.1:8461",
    "[::1]:0",
    "http://u:p@proxy.example:3128",
    "__proto__: ",
    "constructor: ",
  ],
  seeds: [
    'listen:\n  - { protocol: socketmap, address: "127.0.0.1:8461" }\nlookup: { deadline: 1s }\nlog: { level: error }\n',
    "overrides:\n  - { domain: example.com, action: off, comment: x }\n  - { domain: .example.net, action: enforce, mx: [mx.example.net] }\n",
    "maps:\n  mine: { attributes: '3.10', dane: yield, testing: enforce, dns_failure: defer }\n",
    "fetch: { proxy: 'http://user:secret@proxy.example:3128', concurrency: 4 }\nfreshness: { recheck_min: 1m }\n",
    "a: &a [x]\nb: [*a, *a]\n",
  ],
  check(input) {
    const text = input.toString("utf8");
    const { value, error } = attempt(() => parseConfig(text, "f.yaml", ENVIRONMENT), ConfigError);
    if (error !== undefined) {
      rule(error.code === "invalid" && error.problems.length > 0, "refused without a problem");
      for (const line of error.problems)
        rule(/^f\.yaml:[0-9]+:[0-9]+: /.test(line), "a problem without its place");
      return;
    }
    rule(Object.isFrozen(value) && Object.isFrozen(value.listen), "not frozen");
    rule(!("polluted" in {}), "the prototype of all objects was changed");
    const written = renderConfig(value);
    const again = parseConfig(written, "f.yaml", ENVIRONMENT);
    // The proxy's credentials are masked.
    const bare = (config: typeof value) => ({ ...config, fetch: { ...config.fetch, proxy: undefined } });
    rule(isDeepStrictEqual(bare(again), bare(value)), "rendered and read, it is another");
  },
};
