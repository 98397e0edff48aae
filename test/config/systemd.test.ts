import { describe, expect, it } from "vitest";
import { ConfigError, parseConfig, renderConfig } from "../../src/config.ts";

function listenersOf(text: string, handedDown?: readonly string[], env = {}) {
  return parseConfig(text, "f.yaml", env, handedDown).listen;
}

function problemsOf(text: string, handedDown?: readonly string[], env = {}): readonly string[] {
  try {
    parseConfig(text, "f.yaml", env, handedDown);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const loopback = { protocol: "socketmap", address: { kind: "tcp", host: "127.0.0.1", port: 8461 } };
const socketmap = { protocol: "socketmap", address: { kind: "systemd", name: "socketmap" } };
const tcpTable = { protocol: "tcp_table", address: { kind: "systemd", name: "tcp_table" }, map: "postfix" };
const NAMED = "listen:\n  - { protocol: tcp_table, address: systemd:mine, map: postfix310 }\n";

describe("where nothing is configured, the listeners", () => {
  it.each([
    [undefined, [loopback]], // another command than serve
    [[], [loopback]], // no socket unit
    [["stsmapd.socket"], [loopback]], // a unit without FileDescriptorName=
    [["socketmap"], [socketmap]],
    [["socketmap", "socketmap"], [socketmap]], // two of one unit: one listener stands for both
    [["tcp_table"], [tcpTable]],
    [
      ["tcp_table", "socketmap", "other"],
      [socketmap, tcpTable],
    ],
  ])("for sockets named %j", (handedDown, expected) => {
    expect(listenersOf("", handedDown)).toEqual(expected);
    expect(listenersOf("listen:", handedDown), "an empty section").toEqual(expected);
  });
});

describe("a listener at a socket of systemd", () => {
  it("stands for all sockets of its name, and goes before the default", () => {
    const expected = [
      { protocol: "tcp_table", address: { kind: "systemd", name: "mine" }, map: "postfix310" },
    ];
    expect(listenersOf(NAMED, ["mine", "socketmap"])).toEqual(expected);
    expect(listenersOf(NAMED), "for other commands").toEqual(expected);
  });

  it("is printed as it was read", () => {
    expect(renderConfig(parseConfig(NAMED, "f.yaml", {}))).toContain(
      "address: systemd:mine\n    map: postfix310\n",
    );
  });

  it("whose socket was not handed down is a mistake, at its line and key", () => {
    expect(problemsOf(NAMED, ["socketmap"])).toEqual([
      "f.yaml:2:37: listen[0].address: systemd has handed down no socket of this name (socketmap); start its socket unit before the service",
    ]);
    expect(problemsOf(NAMED, [])).toEqual([expect.stringContaining("(none at all)")]);
    const env = { STSMAPD_LISTEN: '[{ protocol: socketmap, address: "systemd:a" }]' };
    expect(problemsOf("", ["b"], env)).toEqual([
      expect.stringMatching(/^STSMAPD_LISTEN: listen\[0\]\.address: /),
    ]);
  });

  it.each([
    ["address: 'systemd:'", "is no address"], // no name
    ["address: 'systemd:a:b'", "is no address"], // systemd separates names by colons
    ["address: 'systemd:ä'", "is no address"],
    ["address: systemd:a, mode: '0600'", "not for a socket of systemd, whose unit says it"],
    ["address: systemd:a, group: postfix", "not for a socket of systemd, whose unit says it"],
  ])("{ %s } is refused", (rest, message) => {
    expect(problemsOf(`listen: [{ protocol: socketmap, ${rest} }]`)).toEqual([
      expect.stringContaining(message),
    ]);
  });

  it("has it for itself", () => {
    const text =
      "listen:\n  - { protocol: socketmap, address: systemd:a }\n  - { protocol: tcp_table, address: systemd:a }\n";
    expect(problemsOf(text)).toEqual([
      "f.yaml:3:37: listen[1].address: another listener has it (each socket once)",
    ]);
  });
});
