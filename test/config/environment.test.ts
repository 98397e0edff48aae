import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { defaultStorePath } from "../../src/config/environment.ts";
import { problemsOf } from "./problems-of.ts";

describe("defaultStorePath", () => {
  it.each([
    [{ STATE_DIRECTORY: "/var/lib/stsmapd", HOME: "/root" }, "/var/lib/stsmapd/cache.sqlite"], // under systemd
    [{ STATE_DIRECTORY: "/a:/b" }, "/a/cache.sqlite"], // systemd separates several by colons
    [{ XDG_STATE_HOME: "/x", HOME: "/home/a" }, "/x/stsmapd/cache.sqlite"],
    [{ XDG_STATE_HOME: "x", HOME: "/home/a" }, "/home/a/.local/state/stsmapd/cache.sqlite"], // relative: ignored
    [{ HOME: "/home/a" }, "/home/a/.local/state/stsmapd/cache.sqlite"],
    [
      { STATE_DIRECTORY: "", XDG_STATE_HOME: "", HOME: "/home/a" },
      "/home/a/.local/state/stsmapd/cache.sqlite",
    ],
    [{}, "/var/lib/stsmapd/cache.sqlite"], // a process without a home is a service
  ])("of %j is %s", (env, path) => {
    expect(defaultStorePath(env)).toBe(path);
  });

  it("gives way to the file", () => {
    const config = parseConfig("store: { path: /srv/cache.sqlite }", "f.yaml", { STATE_DIRECTORY: "/s" });
    expect(config.store.path).toBe("/srv/cache.sqlite");
  });
});

describe("STSMAPD_ variables", () => {
  it("win over the file", () => {
    const env = { STSMAPD_LOG_LEVEL: "debug", STSMAPD_STORE_PATH: "/v", STSMAPD_DNS_TRUST_AD: "never" };
    const config = parseConfig("{ log: { level: warn, format: json }, store: { path: /f } }", "f.yaml", env);
    expect(config).toMatchObject({
      log: { level: "debug", format: "json" },
      store: { path: "/v" },
      dns: { trustAd: "never" },
    });
  });

  it("are read as YAML: numbers, durations, lists and maps", () => {
    const config = parseConfig("maps: { lost: {} }", "f.yaml", {
      STSMAPD_DNS_ATTEMPTS: "5",
      STSMAPD_FETCH_TIMEOUT: "30",
      STSMAPD_DNS_SERVERS: '["127.0.0.1:5353"]',
      STSMAPD_LISTEN: '[{protocol: socketmap, address: "0.0.0.0:8461"}]',
      STSMAPD_MAPS: "{ mine: { dane: ignore } }",
    });
    expect(config.dns).toMatchObject({ attempts: 5, servers: [{ host: "127.0.0.1", port: 5353 }] });
    expect(config.fetch.timeout).toBe(30_000);
    expect(config.listen).toEqual([
      { protocol: "socketmap", address: { kind: "tcp", host: "0.0.0.0", port: 8461 } },
    ]);
    expect(Object.keys(config.maps)).toEqual(["postfix", "postfix310", "QUERY", "QUERYwithTLSRPT", "mine"]);
  });

  it("count as not set when they are empty", () => {
    const config = parseConfig("log: { level: warn }", "f.yaml", { STSMAPD_LOG_LEVEL: "" });
    expect(config.log.level).toBe("warn");
  });

  it("are left alone where Kubernetes made them for a service called stsmapd", () => {
    const env = {
      STSMAPD_SERVICE_HOST: "10.0.0.1",
      STSMAPD_SERVICE_PORT: "8461",
      STSMAPD_SERVICE_PORT_SOCKETMAP: "8461",
      STSMAPD_PORT: "tcp://10.0.0.1:8461",
      STSMAPD_PORT_8461_TCP_ADDR: "10.0.0.1",
    };
    expect(problemsOf("", env)).toEqual([]);
  });

  it.each([
    ["STSMAPD_LOG_LEVEL", "loud", 'log.level: "loud" is not a choice (trace, debug, info, warn, error)'],
    [
      "STSMAPD_LISTEN",
      "[{protocol: socketmap, address: x}]",
      'listen[0].address: "x" is no address (127.0.0.1:8461, [::1]:8461, unix:/run/stsmapd/socket, systemd:name)',
    ],
    ["STSMAPD_DNS_SERVERS", "127.0.0.1", "dns.servers: a string where a list is expected"],
    ["STSMAPD_LOG_FORMAT", "[", "log.format: Flow sequence must end with a ]"], // no YAML
    ["STSMAPD_LOG_LEVLE", "info", "unknown variable (did you mean STSMAPD_LOG_LEVEL?)"],
  ])("are named where they are wrong: %s=%s", (variable, value, problem) => {
    expect(problemsOf("", { [variable]: value })).toEqual([`${variable}: ${problem}`]);
  });
});
