/** smtp_tls_policy_maps: what is in it, and whether it is this daemon. */
import { describe, expect, it } from "vitest";
import { whereItListens } from "../../../src/cli/doctor/listening.ts";
import { judgeMap } from "../../../src/cli/doctor/map.ts";
import { judgePolicyTable } from "../../../src/cli/doctor/policy-table.ts";
import { parsePolicyTables, pathOutside } from "../../../src/cli/doctor/policy-tables.ts";
import { configOf, NOT_ASKED, ownTable, postfixFacts } from "./facts.ts";

describe("a list of tables", () => {
  it.each([
    ["", []],
    ["hash:/etc/postfix/tls, tcp:127.0.0.1:8462", ["hash:/etc/postfix/tls", "tcp:127.0.0.1:8462"]],
    ["a:b\tc:d,e:f", ["a:b", "c:d", "e:f"]],
    [
      "inline:{ {a.example = may}, b.example=none } x:y",
      ["inline:{ {a.example = may}, b.example=none }", "x:y"],
    ],
  ])("%j", (text, tables) => {
    expect(parsePolicyTables(text).map((table) => table.text)).toEqual(tables);
  });

  it.each([
    [
      "socketmap:inet:127.0.0.1:8461:postfix",
      { protocol: "socketmap", endpoint: { kind: "tcp", host: "127.0.0.1", port: 8461 }, map: "postfix" },
    ],
    [
      "socketmap:inet:[::1]:8461:a",
      { protocol: "socketmap", endpoint: { kind: "tcp", host: "::1", port: 8461 }, map: "a" },
    ],
    [
      "socketmap:unix:stsmapd/s:a",
      { protocol: "socketmap", endpoint: { kind: "unix", path: "stsmapd/s" }, map: "a" },
    ],
    [
      "proxy:socketmap:unix:/run/s:a",
      { protocol: "socketmap", endpoint: { kind: "unix", path: "/run/s" }, map: "a" },
    ],
    [
      "tcp:localhost:8462",
      { protocol: "tcp_table", endpoint: { kind: "tcp", host: "localhost", port: 8462 }, map: undefined },
    ],
    ["tcp:localhost:8462:map", undefined], // tcp_table has no map name
    ["socketmap:inet:127.0.0.1:8461", undefined], // and socketmap cannot do without
    ["hash:/etc/postfix/tls", undefined],
  ])("%s", (text, server) => {
    const [table] = parsePolicyTables(text);
    expect(table?.server).toEqual(server);
    expect(table?.proxied).toBe(text.startsWith("proxy:"));
  });

  it.each([
    ["/run/s", false, "/run/s"],
    ["/run/s", true, "/queue/run/s"], // the chroot is the queue folder
    ["run/s", false, "/queue/run/s"], // and Postfix's processes work in it
    ["run/s", true, "/queue/run/s"],
  ])("the path %s, chroot %s, is %s outside", (path, chroot, outside) => {
    expect(pathOutside(path, { queueFolder: "/queue", chroot })).toBe(outside);
  });
});

const UNIX = `listen: [{ protocol: socketmap, address: "unix:/var/spool/postfix/stsmapd/s" }]`;
const CHROOT = "smtp unix - - y - - smtp\n";
const MIXED = "smtp unix - - y - - smtp\nrelay unix - - n - - smtp\n";
const WILD = `listen: [{ protocol: socketmap, address: "0.0.0.0:8461" }]`;
const TCP = `listen: [{ protocol: tcp_table, address: "127.0.0.1:8462", map: postfix }]`;

describe("the table that is this daemon", () => {
  it.each([
    ["socketmap:inet:127.0.0.1:8461:postfix", "", undefined, "ok"],
    ["socketmap:inet:localhost:8461:postfix", "", undefined, "ok"], // localhost is 127.0.0.1 too
    ["socketmap:inet:[::1]:8461:postfix", "", undefined, "problem"], // nobody listens there
    ["socketmap:inet:192.0.2.1:8461:postfix", WILD, undefined, "ok"], // any address may be this machine's
    ["tcp:127.0.0.1:8461", "", undefined, "problem"], // another protocol than that of the listener
    ["tcp:127.0.0.1:8462", TCP, undefined, "ok"],
    ["proxy:socketmap:inet:127.0.0.1:8461:postfix", "", undefined, "ok"],
    ["hash:/etc/postfix/tls, socketmap:inet:127.0.0.1:8461:postfix", "", undefined, "ok"],
    ["socketmap:unix:stsmapd/s:postfix", UNIX, CHROOT, "ok"],
    ["socketmap:unix:/stsmapd/s:postfix", UNIX, CHROOT, "ok"],
    ["socketmap:unix:/stsmapd/s:postfix", UNIX, undefined, "problem"], // without a chroot it is another path
    ["socketmap:unix:/var/spool/postfix/stsmapd/s:postfix", UNIX, undefined, "ok"],
    ["socketmap:unix:/var/spool/postfix/stsmapd/s:postfix", UNIX, MIXED, "problem"], // smtp is locked in, relay is not
    ["socketmap:unix:stsmapd/s:postfix", UNIX, MIXED, "ok"], // a relative path is the same for both
    ["", "", undefined, "problem"],
  ])("%s", (table, yaml, services, status) => {
    const facts = postfixFacts({
      parameters: { smtp_tls_policy_maps: table },
      ...(services !== undefined && { services }),
    });
    const config = configOf(yaml);
    expect(judgePolicyTable(facts, whereItListens(config, NOT_ASKED), ownTable(facts, config)).status).toBe(
      status,
    );
  });

  it("names the tables that are asked before it", () => {
    const facts = postfixFacts({
      parameters: { smtp_tls_policy_maps: "hash:/a, socketmap:inet:127.0.0.1:8461:postfix" },
    });
    const listening = whereItListens(configOf(), NOT_ASKED);
    expect(judgePolicyTable(facts, listening, ownTable(facts)).found).toContain("asked before it: hash:/a");
  });

  it.each([
    ["", "hash:/a", undefined, "smtp_tls_policy_maps = hash:/a, socketmap:inet:127.0.0.1:8461:postfix"],
    [
      "",
      "socketmap:inet:127.0.0.1:8999:x, hash:/a",
      undefined,
      "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix, hash:/a",
    ], // another daemon goes
    [
      "",
      "tcp:192.0.2.1:99",
      undefined,
      "smtp_tls_policy_maps = tcp:192.0.2.1:99, socketmap:inet:127.0.0.1:8461:postfix",
    ], // not one elsewhere
    [UNIX, "socketmap:unix:/stsmapd/s:a", MIXED, "smtp_tls_policy_maps = socketmap:unix:stsmapd/s:a"],
    [UNIX, "", undefined, "smtp_tls_policy_maps = socketmap:unix:stsmapd/s:postfix"],
    [TCP, "", undefined, "smtp_tls_policy_maps = tcp:127.0.0.1:8462"],
    [
      UNIX,
      "socketmap:unix:/var/spool/postfix/stsmapd/s:a",
      CHROOT,
      "smtp_tls_policy_maps = socketmap:unix:stsmapd/s:a",
    ],
  ])("is added by a command: %s %s", (yaml, table, services, assignment) => {
    const facts = postfixFacts({
      parameters: { smtp_tls_policy_maps: table },
      ...(services !== undefined && { services }),
    });
    const config = configOf(yaml);
    const { mend } = judgePolicyTable(facts, whereItListens(config, NOT_ASKED), ownTable(facts, config));
    const commands = mend.filter((line) => !line.startsWith("#"));
    expect(commands).toEqual([`postconf -e '${assignment}'`, "postfix reload"]);
  });
});

const judge = (version: string, map: string, yaml = "") => {
  const facts = postfixFacts({
    version,
    parameters: { smtp_tls_policy_maps: `socketmap:inet:127.0.0.1:8461:${map}` },
  });
  const config = configOf(yaml);
  return judgeMap(facts, ownTable(facts, config), config.maps);
};

describe("the map", () => {
  it.each([
    ["3.7.11", "postfix", "ok", undefined],
    ["3.7.11", "postfix310", "problem", "postfix"], // 3.10's attributes are errors before it
    ["3.9.1", "QUERYwithTLSRPT", "problem", "QUERY"],
    ["3.9.1", "QUERY", "ok", undefined],
    ["3.10.0", "postfix310", "ok", undefined],
    ["3.10.0", "postfix", "warning", "postfix310"],
    ["3.11-20250214", "QUERY", "warning", "QUERYwithTLSRPT"], // a snapshot
    ["4.0.0", "postfix310", "ok", undefined],
    ["3.9.1", "mine", "warning", "postfix"], // there is no such map
  ])("for Postfix %s %s is %s", (version, map, status, better) => {
    const finding = judge(version, map);
    expect(finding.status).toBe(status);
    const assignment = `smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:${better}`;
    expect(finding.mend[0]).toBe(better && `postconf -e '${assignment}'`);
  });

  it("of one's own is mended in the configuration", () => {
    const { status, mend } = judge("3.10.5", "mine", "maps: { mine: { dane: ignore } }");
    expect(status).toBe("warning");
    expect(mend[0]).toContain('maps: { mine: { attributes: "3.10" } }');
  });
});
