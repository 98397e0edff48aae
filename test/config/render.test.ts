import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseConfig, renderConfig } from "../../src/config.ts";

const env = { STATE_DIRECTORY: "/var/lib/stsmapd" };

describe("renderConfig", () => {
  it("writes durations, sizes and addresses in the file's own words", () => {
    const text = renderConfig(
      parseConfig(
        `listen: [{ protocol: socketmap, address: "unix:/run/s", mode: "0600", group: mail }]
dns: { servers: ["::1"] }
fetch: { timeout: 90, max_size: 1048576 }`,
        "f.yaml",
        env,
      ),
    );
    expect(text).toContain(
      'listen:\n  - protocol: socketmap\n    address: unix:/run/s\n    mode: "0600"\n    group: mail\nmaps:\n',
    );
    expect(text).toContain('servers:\n    - "[::1]:53"\n');
    expect(text).toContain("  timeout: 90s\n  connect_timeout: 10s\n  max_size: 1MiB\n");
    expect(text).toContain("  ca_file: null\n");
  });

  it("masks the credentials of a proxy, and nothing else of it", () => {
    const proxy = "http://user:s%40cret@proxy.example:3128/";
    const config = parseConfig(`fetch: { proxy: "${proxy}" }`, "f.yaml", env);
    expect(config.fetch.proxy).toEqual({ kind: "url", url: proxy });
    expect(renderConfig(config)).toContain("proxy: http://***:***@proxy.example:3128/\n");
  });

  it("masks the key of the log's pseudonyms", () => {
    const config = parseConfig("log: { domains: hash, hash_key: 0123456789abcdef }", "f.yaml", env);
    expect(renderConfig(config)).toContain('  domains: hash\n  hash_key: "****************"\n');
  });

  it("writes what is read as the same configuration", () => {
    fc.assert(
      fc.property(files, (file) => {
        const config = parseConfig(stringify(file), "f.yaml", env);
        // The environment is gone: all of it is in the file.
        expect(parseConfig(renderConfig(config), "f.yaml", {})).toEqual(config);
      }),
    );
  });
});

const durations = fc.oneof(
  fc.integer({ min: 1, max: 59 }),
  fc.integer({ min: 1, max: 59_999 }).map((amount) => `${amount}ms`),
  fc.integer({ min: 1, max: 59 }).map((amount) => `${amount}s`),
);
const words = <const T extends string>(...choices: T[]) => fc.constantFrom(...choices);
const whole = fc.integer({ min: 1, max: 10 });
const accounts = fc.oneof(fc.nat(), words("postfix", "_stsmapd", "null"));
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });

const listeners = fc.oneof(
  fc.record({ protocol: words("socketmap"), address: words("127.0.0.1:0", "[::1]:8461", "localhost:1") }),
  fc.record(
    {
      protocol: words("tcp_table"),
      address: words("unix:/run/a b#c", "unix:/null"),
      map: words("postfix", "QUERY"),
      mode: words("0600", "666"),
      owner: accounts,
      group: accounts,
    },
    { requiredKeys: ["protocol", "address"] },
  ),
);

const profiles = some({
  attributes: words("3.4", "3.10"),
  dane: words("yield", "dane-only", "ignore"),
  testing: words("notfound", "enforce"),
  dns_failure: words("notfound", "defer"),
});

const files = some({
  listen: fc.array(listeners),
  maps: fc.dictionary(words("postfix", "QUERY", "mine", "5", "true", "constructor"), profiles),
  store: some({ path: words("/srv/a b.sqlite", "relative", "null", "5"), memory_entries: whole }),
  lookup: some({ deadline: durations, stop_timeout: durations }),
  dns: some({
    servers: fc.array(words("127.0.0.1", "127.0.0.1:5353", "::1", "[fe80::1%eth0]:53")),
    timeout: durations,
    attempts: whole,
    trust_ad: words("auto", "always", "never"),
  }),
  fetch: some({
    timeout: durations,
    connect_timeout: durations,
    max_size: fc.oneof(fc.integer({ min: 1024, max: 100_000 }), words("64KiB", "1MiB")),
    concurrency: whole,
    per_address: whole,
    proxy: words("environment", "none", "http://proxy.example:3128", "https://[::1]"),
    ca_file: fc.constantFrom(null, "/etc/ca.pem"),
    allow_addresses: fc.array(words("10.0.0.0/8", "::1")),
    port: whole,
  }),
  freshness: some({
    recheck_min: durations,
    negative_max: words("1h", "365d"),
    dns_failure: durations,
    backoff_max: words("12h"),
    renew_from: fc.double({ min: 0, max: 0.79, noNaN: true }),
    renew_margin: words("0s", "1d"),
  }),
  metrics: some({ listen: words("127.0.0.1:9461", "[::1]:0", "localhost:1") }),
  log: some({ level: words("trace", "error"), format: words("auto", "json", "pretty") }),
});
