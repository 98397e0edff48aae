import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { problemsOf } from "./problems-of.ts";

function listenAt(address: string): string {
  return `listen: [{ protocol: socketmap, address: ${JSON.stringify(address)} }]`;
}

describe("the address of a listener", () => {
  it.each([
    ["127.0.0.1:8461", "127.0.0.1", 8461],
    ["0.0.0.0:1", "0.0.0.0", 1],
    ["[::1]:8461", "::1", 8461],
    ["[::]:65535", "::", 65_535],
    ["localhost:8461", "localhost", 8461],
    ["mx-1.example.com:8461", "mx-1.example.com", 8461],
    ["127.0.0.1:0", "127.0.0.1", 0], // any free port
  ])("%s is TCP", (address, host, port) => {
    expect(parseConfig(listenAt(address), "f.yaml", {}).listen[0]?.address).toEqual({
      kind: "tcp",
      host,
      port,
    });
  });

  it.each([
    ["127.0.0.1"], // no port
    [":8461"], // no host
    ["::1:8461"], // brackets are missing
    ["[127.0.0.1]:8461"], // brackets are for IPv6
    ["[::1]"],
    ["127.0.0.1:65536"],
    ["127.0.0.1:-1"],
    ["127.0.0.1:http"],
    ["127.0.0.256:8461"], // not a name that looks like an address
    ["127.1:8461"],
    ["-a.example:1"],
    ["a..b:1"],
    ["a b:1"],
    ["*:8461"], // say [::]:8461
    ["tcp://127.0.0.1:8461"],
    ["unix:relative"], // relative to what?
    ["unix:"],
    ["unix:/a\u0000b"],
    ["unix:/" + "a".repeat(107)], // 108 bytes, one more than a socket address holds
    ["unix:/" + "ä".repeat(54)], // bytes, not characters
    ["unix:/" + "a".repeat(97) + "/s"], // a folder of 98 bytes: no room for the name the socket is first bound to
    ["unix:/run/stsmapd/"], // a folder
    [""],
  ])("%j is refused", (address) => {
    expect(problemsOf(listenAt(address))).toEqual([expect.stringContaining("listen[0].address: ")]);
  });

  it.each([
    ["", { mode: 0o660, owner: undefined, group: undefined }],
    ['mode: "0600"', { mode: 0o600, owner: undefined, group: undefined }],
    ['mode: "666", owner: stsmapd, group: 89', { mode: 0o666, owner: "stsmapd", group: 89 }],
  ])("of a unix socket comes with { %s }", (rest, expected) => {
    const text = `listen: [{ protocol: socketmap, address: "unix:/run/s", ${rest} }]`;
    expect(parseConfig(text, "f.yaml", {}).listen[0]?.address).toEqual({
      kind: "unix",
      path: "/run/s",
      ...expected,
    });
  });

  it("may be as long as a socket address holds", () => {
    expect(problemsOf(listenAt(`unix:/${"a".repeat(106)}`))).toEqual([]);
    expect(problemsOf(listenAt(`unix:/${"a".repeat(96)}/123456789`))).toEqual([]);
  });

  it("of tcp_table comes with a map, by default postfix", () => {
    const text = `listen:
      - { protocol: tcp_table, address: "127.0.0.1:1" }
      - { protocol: tcp_table, address: "127.0.0.1:2", map: QUERY }`;
    expect(parseConfig(text, "f.yaml", {}).listen).toMatchObject([{ map: "postfix" }, { map: "QUERY" }]);
  });
});

describe("a name server", () => {
  it.each([
    ["127.0.0.1", { host: "127.0.0.1", port: 53 }],
    ["127.0.0.1:5353", { host: "127.0.0.1", port: 5353 }],
    ["::1", { host: "::1", port: 53 }],
    ["[::1]", { host: "::1", port: 53 }],
    ["[::1]:5353", { host: "::1", port: 5353 }],
  ])("may be written %s", (server, expected) => {
    const text = `dns: { servers: [${JSON.stringify(server)}] }`;
    expect(parseConfig(text, "f.yaml", {}).dns.servers).toEqual([expected]);
  });

  it.each([
    ["dns.example"], // who would look it up?
    ["127.0.0.1:0"],
    ["127.0.0.1:"],
    ["[127.0.0.1"],
    [""],
  ])("may not be written %j", (server) => {
    expect(problemsOf(`dns: { servers: [${JSON.stringify(server)}] }`)).toEqual([
      expect.stringContaining("dns.servers[0]: "),
    ]);
  });
});

describe("a range of addresses", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["192.0.2.1", "192.0.2.1/32"],
    ["fd00::/8", "fd00::/8"],
    ["::1", "::1/128"],
  ])("may be written %s", (range, expected) => {
    const text = `fetch: { allow_addresses: [${JSON.stringify(range)}] }`;
    expect(parseConfig(text, "f.yaml", {}).fetch.allowAddresses).toEqual([expected]);
  });

  it.each([["10.0.0.0/33"], ["fd00::/129"], ["10/8"], ["10.0.0.0/"], ["10.0.0.0/-1"], ["localhost"], [""]])(
    "may not be written %j",
    (range) => {
      expect(problemsOf(`fetch: { allow_addresses: [${JSON.stringify(range)}] }`)).toEqual([
        expect.stringContaining("fetch.allow_addresses[0]: "),
      ]);
    },
  );
});
