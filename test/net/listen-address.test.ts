import { describe, expect, it } from "vitest";
import { formatListenAddress, parseListenAddress } from "../../src/net/listen-address.ts";

describe("a listen address", () => {
  it.each<[string, ReturnType<typeof parseListenAddress>]>([
    ["127.0.0.1:8461", { kind: "tcp", host: "127.0.0.1", port: 8461 }],
    ["[::1]:8461", { kind: "tcp", host: "::1", port: 8461 }],
    ["[fe80::1%eth0]:1", { kind: "tcp", host: "fe80::1%eth0", port: 1 }],
    ["localhost:0", { kind: "tcp", host: "localhost", port: 0 }],
    ["unix:/run/stsmapd/socket", { kind: "unix", path: "/run/stsmapd/socket" }],
  ])("%s is read and written", (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(formatListenAddress(address!)).toBe(text);
  });

  it.each([
    "",
    "8461", // no host
    ":8461",
    "127.0.0.1", // no port
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:1e3",
    "::1:8461", // brackets are missing
    "1.2.3.999:1", // a mistyped address is no name
    "127.1:8461",
    "-a.example:1",
    "[::1]",
    "[127.0.0.1]:25",
    "[::g]:25",
    "*:8461",
    "unix:", // no path
    "unix:run/socket", // not absolute
    "unix:/run/stsmapd/", // a folder
    "unix:/a\0b",
    "inet:127.0.0.1:8461", // Postfix's form
  ])("is not %j", (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  });
});
