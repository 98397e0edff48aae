import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { problemsOf } from "./problems-of.ts";

const env = { STATE_DIRECTORY: "/var/lib/stsmapd" };

describe("parseConfig", () => {
  it.each([
    [""],
    ["\n# nothing but a remark\n"],
    ["---\n"],
    ["{}"],
    ["log:\ndns:\n"], // sections whose keys are all commented out
    ["log: { level: }"], // a key without a value is not set
  ])("reads %j as the defaults", (text) => {
    expect(parseConfig(text, "f.yaml", env)).toEqual({
      listen: [{ protocol: "socketmap", address: { kind: "tcp", host: "127.0.0.1", port: 8461 } }],
      maps: {
        postfix: {
          attributes: "3.4",
          dane: "yield",
          testing: "notfound",
          dnsFailure: "notfound",
          rollout: 100,
        },
        postfix310: {
          attributes: "3.10",
          dane: "yield",
          testing: "notfound",
          dnsFailure: "notfound",
          rollout: 100,
        },
        QUERY: {
          attributes: "3.4",
          dane: "dane-only",
          testing: "notfound",
          dnsFailure: "notfound",
          rollout: 100,
        },
        QUERYwithTLSRPT: {
          attributes: "3.10",
          dane: "dane-only",
          testing: "notfound",
          dnsFailure: "notfound",
          rollout: 100,
        },
      },
      store: { path: "/var/lib/stsmapd/cache.sqlite", memoryEntries: 20_000 },
      lookup: { deadline: 20_000, concurrency: 256, stopTimeout: 10_000 },
      overrides: [],
      dns: { servers: [], timeout: 2000, attempts: 3, trustAd: "auto" },
      dane: {
        enabled: true,
        maxHosts: 20,
        parallel: 4,
        holdMin: 10_000,
        holdMax: 86_400_000,
        patience: 1000,
        selfTestName: ".",
        selfTestType: "SOA",
        selfTestInterval: 3_600_000,
      },
      fetch: {
        timeout: 60_000,
        connectTimeout: 10_000,
        maxSize: 65_536,
        concurrency: 64,
        perAddress: 2,
        proxy: { kind: "environment" },
        caFile: undefined,
        allowAddresses: [],
        port: 443,
      },
      freshness: {
        recheckMin: 60_000,
        recheckMax: 86_400_000,
        negativeMin: 60_000,
        negativeMax: 3_600_000,
        dnsFailure: 30_000,
        backoffMin: 300_000,
        backoffMax: 21_600_000,
        renewFrom: 0.5,
        renewTo: 0.8,
        renewMargin: 86_400_000,
        unusedAfter: 5_184_000_000,
      },
      admin: { socket: "/var/lib/stsmapd/admin.sock", mode: 0o660, group: undefined },
      tlsrpt: { collector: undefined },
      metrics: { listen: undefined },
      log: { level: "info", format: "auto", domains: true, hashKey: undefined },
    });
  });

  it("freezes all of it", () => {
    const config = parseConfig("fetch: { allow_addresses: [10.0.0.0/8] }", "f.yaml", env);
    const parts = [
      config,
      config.listen,
      config.listen[0]?.address,
      config.maps,
      config.maps["postfix"],
      config.fetch,
      config.fetch.proxy,
      config.fetch.allowAddresses,
    ];
    expect(parts.map((part) => Object.isFrozen(part))).toEqual(parts.map(() => true));
  });

  it("changes the built-in maps key by key and adds others to them", () => {
    const { maps } = parseConfig(
      "maps: { QUERY: { dane: ignore }, mine: { testing: enforce } }",
      "f.yaml",
      env,
    );
    expect(maps["QUERY"]).toEqual({
      attributes: "3.4",
      dane: "ignore",
      testing: "notfound",
      dnsFailure: "notfound",
      rollout: 100,
    });
    expect(maps["mine"]).toEqual({
      attributes: "3.4",
      dane: "yield",
      testing: "enforce",
      dnsFailure: "notfound",
      rollout: 100,
    });
  });

  it.each([
    ["100%", 100],
    ["25%", 25],
    ["0.5%", 0.5],
    ["0%", 0],
    ["observe", 0],
  ])("takes rollout: %s", (written, percent) => {
    const { maps } = parseConfig(`maps: { postfix: { rollout: ${written} } }`, "f.yaml", env);
    expect(maps["postfix"]?.rollout).toBe(percent);
  });

  it.each(["25", "0.25", "101%", "-1%", "half", "'25 %'", "1e1%", "true"])(
    "refuses rollout: %s",
    (written) => {
      const text = `maps: { postfix: { rollout: ${written} } }`;
      expect(() => parseConfig(text, "f.yaml", env)).toThrow(
        /no part of all domains \(observe, or 0% to 100%\)$/,
      );
    },
  );

  it.each([
    ["true", true],
    ["false", false],
    ["hash, hash_key: 0123456789abcdef", "hash"],
  ])("takes log.domains: %s", (written, domains) => {
    expect(parseConfig(`log: { domains: ${written} }`, "f.yaml", env).log.domains).toBe(domains);
  });

  it.each([
    ["domains: hash", /log\.hash_key: missing, and domains: hash needs it \(16 characters or more\)$/],
    [
      "domains: hash, hash_key: sesame",
      /log\.hash_key: no secret that could be kept \(16 characters or more\)$/,
    ],
    ["domains: hash, hash_key: 1234567890123456", /no secret that could be kept/], // a number, of which YAML may lose digits
    ["domains: maybe", /"maybe" is not a choice \(true, hash, false\)$/],
  ])("refuses log: { %s }", (written, problem) => {
    expect(() => parseConfig(`log: { ${written} }`, "f.yaml", env)).toThrow(problem);
  });

  it("knows no map by a name that every object has", () => {
    expect(parseConfig("", "f.yaml", env).maps["constructor"]).toBeUndefined();
  });

  it.each([
    ['"3.4"', "3.4"],
    ["3.4", "3.4"],
    ['"3.10"', "3.10"],
    ["3.10", "3.10"], // the number 3.1 to YAML
  ])("reads attributes: %s as %s", (written, attributes) => {
    const { maps } = parseConfig(`maps: { mine: { attributes: ${written} } }`, "f.yaml", env);
    expect(maps["mine"]?.attributes).toBe(attributes);
  });

  it("reports all problems at once, each with its place, its key and what is allowed", () => {
    const text = `listen:
  - protocol: tcp_table
    address: 127.0.0.1
  - protocol: socketmap
    address: unix:/run/socket
    mode: 0660
dns: 5
maps:
  mine: { dnsfailure: defer }
fetch:
  max-size: 5
  timeout: 5 parsecs
  port: 99999
freshness:
  recheck_min: 2d
  renew_from: 0.9
  backoff_max: x
lookupp: {}
`;
    expect(problemsOf(text, { STSMAPD_LOG_LEVEL: "loud" })).toEqual([
      'f.yaml:3:14: listen[0].address: "127.0.0.1" is no address (127.0.0.1:8461, [::1]:8461, unix:/run/stsmapd/socket, systemd:name)',
      'f.yaml:6:11: listen[1].mode: 660 is no file mode (octal and in quotes, such as "0660")',
      "f.yaml:9:11: maps.mine.dnsfailure: unknown key (did you mean dns_failure?)",
      "f.yaml:7:6: dns: a number where a map is expected",
      'f.yaml:12:12: fetch.timeout: "5 parsecs" is no duration (500ms, 20s, 5m, 1h, 60d, or whole seconds)',
      "f.yaml:13:9: fetch.port: 99999 is too large (1 to 65535)",
      "f.yaml:11:3: fetch.max-size: unknown key (did you mean max_size?)",
      'f.yaml:17:16: freshness.backoff_max: "x" is no duration (500ms, 20s, 5m, 1h, 60d, or whole seconds)',
      "f.yaml:15:16: freshness.recheck_min: above recheck_max (at most recheck_max)",
      "f.yaml:16:15: freshness.renew_from: not below renew_to (less than renew_to)",
      'STSMAPD_LOG_LEVEL: log.level: "loud" is not a choice (trace, debug, info, warn, error)',
      "f.yaml:18:1: lookupp: unknown key (did you mean lookup?)",
    ]);
  });

  it.each([
    ["a: [", "1:5", /^Flow sequence/], // not closed
    ["log:\n\tlevel: info", "2:1", /^Tabs/], // a tab as indentation
    ["log: *x", "1:1", /^Unresolved alias/],
    ["log: &a [*a]", "1:1", /^an alias stands inside of what it refers to/], // would be walked over without end
    ["log: !secret x", "1:6", /^Unresolved tag/],
    ["log: {}\n---\ndns: {}", "2:1", /multiple documents/], // the second would be lost
    ["- log", "1:1", /^a list where a map is expected/],
    ["log", "1:1", /^a string where a map is expected/],
  ])("names the place where %j is no map of YAML", (text, place, message) => {
    const [problem = "", ...rest] = problemsOf(text);
    expect(problem.startsWith(`f.yaml:${place}: `)).toBe(true);
    expect(problem.slice(`f.yaml:${place}: `.length)).toMatch(message);
    expect(rest).toEqual([]);
  });

  it.each([
    ["log: {}\nlog: {}", "f.yaml:2:1: log: duplicate key (each key once)"],
    ["log:\n  level: info\n  level: warn", "f.yaml:3:3: log.level: duplicate key (each key once)"],
    ["listen: [{ address: a, address: b }]", "f.yaml:1:24: listen[0].address: duplicate key (each key once)"],
  ])("refuses the duplicate in %j", (text, problem) => {
    expect(problemsOf(text)).toContain(problem);
  });

  it.each([
    ["freshness: { recheck_min: 2h, recheck_max: 1h }", "freshness.recheck_min"],
    ["freshness: { negative_min: 2h }", "freshness.negative_min"], // above the default of the other
    ["freshness: { backoff_max: 1m }", "freshness.backoff_min"],
    ["freshness: { renew_from: 0.8 }", "freshness.renew_from"], // equal leaves no time to choose from
    ["freshness: { renew_to: 1.1 }", "freshness.renew_to"],
    ["freshness: { renew_margin: 400d }", "freshness.renew_margin"],
    ["lookup: { deadline: 2m }", "lookup.deadline"], // Postfix would give up first
    ["lookup: { deadline: 0 }", "lookup.deadline"],
    ["dns: { attempts: 0 }", "dns.attempts"],
    ["dns: { attempts: 1.5 }", "dns.attempts"],
    ['dns: { attempts: "3" }', "dns.attempts"], // a string
    ["dns: { trust_ad: yes }", "dns.trust_ad"], // YAML 1.2: a string, and no choice
    ["fetch: { max_size: 1 }", "fetch.max_size"],
    ["fetch: { proxy: socks5://127.0.0.1 }", "fetch.proxy"],
    ["fetch: { proxy: proxy.example:3128 }", "fetch.proxy"], // no scheme
    ["fetch: { ca_file: 5 }", "fetch.ca_file"],
    ['store: { path: "" }', "store.path"],
    [`tlsrpt: { collector: /${"x".repeat(107)} }`, "tlsrpt.collector"], // no unix socket can have it
    ["metrics: { listen: 9461 }", "metrics.listen"], // no host
    ["metrics: { listen: unix:/run/metrics }", "metrics.listen"], // the admin socket is there for that
    ["log: { level: [info] }", "log.level"],
    ['maps: { "two words": {} }', "maps.two words"], // a socketmap request ends the name at the space
    ["maps: { postfix: { attributes: 3.5 } }", "maps.postfix.attributes"],
    ["listen: [null]", "listen[0]"],
    ["listen: [{ protocol: tcp_table, address: '127.0.0.1:1', map: mine }]", "listen[0].map"], // no such map
    ["listen: [{ protocol: socketmap, address: '127.0.0.1:1', map: postfix }]", "listen[0].map"],
    ["listen: [{ protocol: socketmap, address: '127.0.0.1:1', group: mail }]", "listen[0].group"],
    ["listen: [{ protocol: http, address: '127.0.0.1:1' }]", "listen[0].protocol"],
    ["listen: [{ protocol: socketmap }]", "listen[0].address"], // required
  ])("refuses %s at %s", (text, key) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^f\.yaml:1:\d+: /);
    expect(problems[0]?.split(": ")[1]).toBe(key);
    expect(problems[0]).toMatch(/ \(.+\)$|expected$/);
  });

  it("names the place where a value is written, when an alias brought it", () => {
    const text = "listen:\n  - &a { protocol: tcp, address: '127.0.0.1:1' }\n  - *a\n";
    expect(problemsOf(text).map((problem) => problem.split(" ", 2).join(" "))).toEqual([
      "f.yaml:2:20: listen[0].protocol:",
      "f.yaml:2:20: listen[1].protocol:",
    ]);
  });

  it("takes a key without a value for one that is not set, in a list too", () => {
    const text = "listen: [{ protocol: socketmap, address: '127.0.0.1:1', group: }]";
    expect(problemsOf(text)).toEqual([]);
  });

  it("keeps the password of a proxy out of what it says", () => {
    expect(problemsOf("fetch: { proxy: 'ftp://user:secret@proxy' }").join("\n")).not.toContain("secret");
  });

  it("gives a configuration or problems, whatever the text is", () => {
    const words = "log listen maps level __proto__ 5 null &a *a !t << {} { } [ ] \" ' ? | # , -".split(" ");
    const piece = fc.constantFrom(...words, "- ", ": ", ":\n  ", "\n", "---\n", "\t", "\0");
    const text = fc.array(fc.oneof({ weight: 4, arbitrary: piece }, fc.string()), { maxLength: 20 });
    fc.assert(
      fc.property(text, (pieces) => {
        // Anything but a ConfigError is thrown on.
        expect(problemsOf(pieces.join(""))).toBeInstanceOf(Array);
      }),
      { numRuns: 1000 },
    );
  });
});
