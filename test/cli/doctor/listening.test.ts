/** Where the daemon is to be asked, and what is said where that is not known. */
import { describe, expect, it } from "vitest";
import type { Finding } from "../../../src/cli/doctor/finding.ts";
import { LIST_SOCKETS, socketNames, whereItListens } from "../../../src/cli/doctor/listening.ts";
import type { Listening } from "../../../src/cli/doctor/listening.ts";
import { findOwnTable } from "../../../src/cli/doctor/own-table.ts";
import { judgePolicyTable } from "../../../src/cli/doctor/policy-table.ts";
import { judgeReadiness } from "../../../src/cli/doctor/readiness.ts";
import type { Readiness, Served } from "../../../src/cli/doctor/readiness.ts";
import { parseConfig } from "../../../src/config.ts";
import { formatListenAddress } from "../../../src/net/listen-address.ts";
import { answered, configOf, NOT_ASKED, postfixFacts } from "./facts.ts";

const ENV = { HOME: "/nonexistent" };
const DOWN: Readiness = { kind: "failed", code: "unreachable", reason: "nobody listens" };
const MINE = `listen: [{ protocol: tcp_table, address: "systemd:mine", map: QUERY }]`;
const BOTH = `listen: [{ protocol: socketmap, address: "127.0.0.1:1" }, { protocol: socketmap, address: "systemd:s" }]`;

function socket(configured: string, address = configured, protocol = "socketmap"): Served {
  return { protocol, address, configured };
}

/** As doctor reads the configuration once the daemon has answered. */
function listening(yaml: string, said: Readiness): Listening {
  const names = socketNames(configOf(yaml).listen, said);
  return whereItListens(parseConfig(yaml, "test.yaml", ENV, names), said);
}

function judge(yaml: string, said: Readiness, table: string): Finding {
  const facts = postfixFacts({ parameters: { smtp_tls_policy_maps: table } });
  const where = listening(yaml, said);
  return judgePolicyTable(facts, where, findOwnTable(facts, where, configOf(yaml).maps));
}

describe("where the daemon listens", () => {
  it.each([
    ["", NOT_ASKED, ["127.0.0.1:8461"], []],
    ["", DOWN, ["127.0.0.1:8461"], []],
    ["", answered(), ["127.0.0.1:8461"], []], // of an older version, which does not say
    ["", answered([socket("127.0.0.1:8461")]), ["127.0.0.1:8461"], []],
    ["", answered([socket("systemd:socketmap", "127.0.0.1:9")]), ["127.0.0.1:9"], []], // the unit's drop-in moved it
    ["", answered([socket("systemd:socketmap", "unix:/run/s")]), ["unix:/run/s"], []],
    ["", answered([socket("systemd:socketmap")]), [], ["systemd:socketmap"]], // the kernel does not tell
    [
      "",
      answered([socket("systemd:socketmap", "127.0.0.1:9"), socket("systemd:socketmap", "[::1]:9")]),
      ["127.0.0.1:9", "[::1]:9"],
      [],
    ], // two sockets of one unit
    [MINE, DOWN, [], ["systemd:mine"]],
    [MINE, NOT_ASKED, [], ["systemd:mine"]],
    [MINE, answered([socket("systemd:mine", "127.0.0.1:9", "tcp_table")]), ["127.0.0.1:9"], []],
    [MINE, answered([socket("systemd:mine", "127.0.0.1:9")]), [], ["systemd:mine"]], // as another protocol than now
    [BOTH, DOWN, ["127.0.0.1:1"], ["systemd:s"]],
  ])("%s %j", (yaml, said, known, unknown) => {
    const { listeners, unknown: hidden } = listening(yaml, said);
    expect(listeners.map(({ address }) => formatListenAddress(address))).toEqual(known);
    expect(hidden).toEqual(unknown);
  });

  it.each([
    ["", answered([socket("systemd:socketmap", "127.0.0.1:9")]), "ok"], // without `listen:` the sockets decide
    ["", answered([socket("127.0.0.1:8461")]), "ok"],
    ["", answered([socket("127.0.0.1:9")]), "warning"],
    [BOTH, answered([socket("127.0.0.1:1"), socket("systemd:s", "127.0.0.1:2")]), "ok"],
    [BOTH, answered([socket("127.0.0.1:1")]), "warning"],
    [MINE, answered([socket("systemd:mine", "127.0.0.1:9")]), "warning"], // another protocol
    [BOTH, answered(), "ok"], // it does not say
    ["", answered([socket("127.0.0.1:0", "127.0.0.1:8461")]), "ok"], // there all the same
  ])("is what the configuration says: %s %j is %s", (yaml, said, status) => {
    expect(judgeReadiness(said, listening(yaml, said)).status).toBe(status);
  });
});

describe("the table, where systemd holds the sockets", () => {
  it.each([
    [MINE, answered([socket("systemd:mine", "127.0.0.1:9", "tcp_table")]), "tcp:127.0.0.1:9", "ok"],
    [MINE, answered([socket("systemd:mine", "127.0.0.1:9", "tcp_table")]), "tcp:127.0.0.1:8", "problem"],
    [MINE, DOWN, "tcp:127.0.0.1:9", "unknown"],
    [MINE, DOWN, "", "problem"], // it asks nobody, wherever we are
    [BOTH, DOWN, "socketmap:inet:127.0.0.1:1:postfix", "ok"], // the one that is known
    [
      "",
      answered([socket("systemd:socketmap", "127.0.0.1:9")]),
      "socketmap:inet:127.0.0.1:8461:a",
      "problem",
    ],
  ])("%s %j %s: %s", (yaml, said, table, status) => {
    expect(judge(yaml, said, table).status).toBe(status);
  });

  it("is added with the address that the daemon says, or looked up by a command", () => {
    const said = answered([socket("systemd:socketmap", "127.0.0.1:9")]);
    expect(judge("", said, "").mend[0]).toBe(
      "postconf -e 'smtp_tls_policy_maps = socketmap:inet:127.0.0.1:9:postfix'",
    );
    expect(judge(MINE, DOWN, "").mend[0]).toContain(LIST_SOCKETS);
    expect(judge(MINE, DOWN, "tcp:127.0.0.1:9").mend).toEqual([LIST_SOCKETS]);
  });
});
