/** What is said of the machine around Postfix: permissions, resolver, clock, daemon, disk, roots. */
import { describe, expect, it } from "vitest";
import { PostfixCommands } from "../../../src/cli/doctor/commands.ts";
import { judgeFreeSpace } from "../../../src/cli/doctor/cache-file.ts";
import { judgeClock } from "../../../src/cli/doctor/clock.ts";
import { judgeListeners } from "../../../src/cli/doctor/daemon-answers.ts";
import { judgePostmap } from "../../../src/cli/doctor/postmap.ts";
import { judgeReadiness } from "../../../src/cli/doctor/readiness.ts";
import { judgePostfixResolver, judgeResolver } from "../../../src/cli/doctor/resolver.ts";
import { judgeConfig } from "../../../src/cli/doctor/service.ts";
import { accountOf, judgeSocket } from "../../../src/cli/doctor/socket-access.ts";
import type { SocketFacts } from "../../../src/cli/doctor/socket-access.ts";
import { judgeRoots } from "../../../src/cli/doctor/trusted-roots.ts";
import type { RootSource } from "../../../src/cli/doctor/trusted-roots.ts";
import { DnsError } from "../../../src/net/dns/resolver.ts";
import { answered, NOT_ASKED } from "./facts.ts";

const MiB = 2 ** 20;

describe("the socket, for a Postfix with user 101 and group 102", () => {
  const owner = accountOf(
    "root:x:0:0::/:/bin/sh\npostfix:x:101:102::/:/bin/false\n",
    "postfix:x:102:\nsocket:x:103:a,postfix\nother:x:104:postfixer\n",
    "postfix",
  );
  const judge = (steps: SocketFacts["steps"], error?: string, queueFolder = "/q") =>
    judgeSocket({ socket: "/run/s", queueFolder, owner, steps, error });
  it.each([
    [[0, 0, 0o755], [0, 0, 0o666], "ok"],
    [[0, 102, 0o710], [0, 102, 0o660], "ok"], // by the group
    [[0, 103, 0o710], [0, 103, 0o660], "ok"], // by a group that Postfix's user was added to
    [[0, 0, 0o755], [0, 104, 0o660], "problem"],
    [[101, 0, 0o700], [101, 0, 0o600], "ok"], // by the owner
    [[0, 0, 0o700], [0, 0, 0o666], "problem"], // the folder is shut
    [[0, 0, 0o755], [0, 0, 0o660], "problem"], // another group
    [[0, 102, 0o705], [0, 0, 0o666], "problem"], // the group's bits count, not those of others
    [[0, 0, 0o755], [101, 0, 0o466], "problem"], // nor, for the owner, those of others
  ])("folder %j, socket %j: %s", ([uid, gid, mode], [socketUid, socketGid, socketMode], status) => {
    const steps = [
      { path: "/run", uid: uid!, gid: gid!, mode: mode! },
      { path: "/run/s", uid: socketUid!, gid: socketGid!, mode: socketMode! },
    ];
    expect(judge(steps).status).toBe(status);
  });

  it.each([
    [
      "/var/lib/stsmapd",
      "/var/spool/postfix",
      /^install -d -o stsmapd -g 102 -m 2750 \/var\/spool\/postfix\/stsmapd$/m,
    ],
    ["/run/stsmapd/more", "/q", /ReadWritePaths=\/q\/stsmapd$/m], // where the unit lets nobody write
    ["/var/lib/stsmapd2", "/q", /^chgrp 102 /],
    ["/srv/socket", "/q", /^chgrp 102 /],
  ])("in %s, which is shut, is told to be in a folder that stays so", (path, queueFolder, mend) => {
    const finding = judge([{ path, uid: 990, gid: 990, mode: 0o700 }], undefined, queueFolder);
    expect(finding.status).toBe("problem");
    expect(finding.mend.join("\n")).toMatch(mend);
  });

  it("that is not there, or that nobody may look at, or of an unknown user", () => {
    const steps = [{ path: "/run", uid: 0, gid: 0, mode: 0o755 }];
    expect(judge(steps, "ENOENT: no such file").status).toBe("problem");
    expect(judge(steps, "EACCES: denied").status).toBe("unknown");
    const nobody = { socket: "/run/s", queueFolder: "/q", owner: undefined, steps, error: undefined };
    expect(judgeSocket(nobody).status).toBe("unknown");
    expect(judgeSocket(undefined).status).toBe("skipped"); // over TCP
  });
});

const validates = { server: "127.0.0.1:53", validation: { state: "validating" } } as const;
const careless = { server: "192.0.2.1:53", validation: { state: "not-validating" } } as const;
const silent = {
  server: "192.0.2.2:53",
  validation: { state: "unknown", error: new DnsError("timeout", "no answer") },
} as const;

describe("the resolver", () => {
  it.each([
    [[validates], true, true, "ok"],
    [[validates], false, true, "warning"], // its AD bit is not trusted
    [[validates], false, false, "ok"], // and need not be
    [[careless], true, true, "warning"],
    [[validates, careless], true, true, "warning"], // one in the list is enough
    [[validates, silent], true, true, "warning"],
    [[silent], true, true, "problem"],
    [[silent, silent], true, false, "problem"], // not even policies are found
  ])("case %#", (servers, trusted, daneEnabled, status) => {
    expect(judgeResolver({ servers, trusted, daneEnabled }).status).toBe(status);
  });

  it.each([
    [[validates], undefined, true, "ok"],
    [[careless], undefined, true, "warning"],
    [[careless], undefined, false, "skipped"], // at level may nobody minds
    [[silent], undefined, false, "problem"],
    [[validates], { path: "/q/etc/resolv.conf", differs: true }, true, "warning"],
    [[validates], { path: "/q/etc/resolv.conf", differs: false }, true, "ok"],
  ])("of Postfix, case %#", (servers, chrootFile, needsDnssec, status) => {
    expect(judgePostfixResolver({ servers, chrootFile, needsDnssec, reload: "postfix reload" }).status).toBe(
      status,
    );
  });
});

describe("the clock", () => {
  const now = Date.UTC(2026, 10, 22);
  const minute = 60_000;
  it.each([
    [now - minute, undefined, undefined, "ok"],
    [now - 6 * minute, undefined, true, "problem"], // whatever systemd believes
    [now + 6 * minute, undefined, undefined, "problem"],
    [undefined, now - minute, true, "ok"],
    [undefined, now + 6 * minute, true, "problem"], // an entry that was fetched in the future
    [now, now, false, "warning"],
    [undefined, now, undefined, "unknown"], // that entries are old proves nothing
  ])(
    "policy host %s, newest entry %s, synchronized %s: %s",
    (policyHost, newestEntry, synchronized, status) => {
      expect(judgeClock({ now, policyHost, newestEntry, synchronized }).status).toBe(status);
    },
  );
});

const answer = (change: object) => ({
  address: "127.0.0.1:8461",
  failure: undefined,
  milliseconds: 1,
  ...change,
});
const failure = (denied: boolean) => ({ failure: { reason: "connect EX", denied } });

describe("the daemon", () => {
  it.each([
    [[answer({})], [], "ok"],
    [[answer({ milliseconds: 6_000 })], [], "warning"], // slow
    [[answer(failure(false))], [], "problem"],
    [[answer({}), answer(failure(false))], [], "problem"], // one listener of two
    [[answer({}), answer(failure(true))], [], "unknown"], // we may not use it; Postfix may
    [[], ["systemd:mine"], "unknown"], // nobody says where it is
    [[answer({})], ["systemd:mine"], "unknown"],
    [[answer(failure(false))], ["systemd:mine"], "problem"],
  ])("case %#", (answers, hidden, status) => {
    expect(judgeListeners(answers, { unknown: hidden }).status).toBe(status);
  });

  it.each([
    [answered(), "ok"],
    [{ ...answered(), version: "0.0.1" }, "warning"], // not restarted since the upgrade
    [{ ...answered(), state: "degraded", problems: ["store-not-writable"] }, "problem"],
    [{ ...answered(), state: "starting" }, "warning"],
    [{ kind: "failed", code: "denied", reason: "denied" }, "unknown"],
    [{ kind: "failed", code: "unreachable", reason: "not there" }, "warning"],
    [NOT_ASKED, "skipped"],
  ] as const)("says of itself %j: %s", (readiness, status) => {
    expect(judgeReadiness(readiness, { stale: undefined }).status).toBe(status);
  });
});

describe("the configuration file", () => {
  const facts = { file: "/etc/s.yaml", mode: 0o644, problems: [], denied: false };
  it.each([
    [facts, "ok"],
    [{ ...facts, mode: undefined }, "ok"], // the defaults
    [{ ...facts, mode: 0o666 }, "problem"],
    [{ ...facts, mode: 0o664 }, "problem"],
    [{ ...facts, problems: ["/etc/s.yaml:1:1: listne: unknown"] }, "problem"],
    [{ ...facts, problems: ["/etc/s.yaml: cannot be read"], denied: true }, "unknown"],
  ])("%j: %s", (found, status) => {
    expect(judgeConfig(found).status).toBe(status);
  });
});

const source = (
  found: RootSource["found"],
  parameter: RootSource["parameter"] = "smtp_tls_CAfile",
): RootSource => ({
  parameter,
  setting: "/x",
  path: "/x",
  found,
});

const DEBIAN = { path: "/etc/ssl/certs/ca-certificates.crt", add: "/usr/local/share/ca-certificates" };
const FEDORA = { path: "/etc/pki/tls/certs/ca-bundle.crt", add: "/etc/pki/ca-trust/source/anchors" };

describe("trusted roots", () => {
  const many = { known: 120, own: 0 };
  it.each([
    [[], false, "problem"],
    [[], true, "problem"], // Postfix adds the default ones only beside others
    [[source(many)], false, "ok"],
    [[source({ known: 0, own: 1 })], false, "problem"], // a private one
    [[source({ known: 0, own: 1 })], true, "unknown"],
    [[source({ known: 3, own: 0 })], false, "warning"],
    [[source({ error: "ENOENT" }), source(many, "smtp_tls_CApath")], false, "problem"], // Postfix gives up on both
    [[source({ known: 0, own: 1 }), source(many, "smtp_tls_CApath")], false, "ok"],
  ])("case %#", (sources, appendsDefault, status) => {
    const facts = { commands: new PostfixCommands("/etc/my postfix") };
    const finding = judgeRoots({ sources, appendsDefault, bundle: DEBIAN }, facts);
    expect(finding.status).toBe(status);
    const command = `postconf -c '/etc/my postfix' -e 'smtp_tls_CAfile = ${DEBIAN.path}'`;
    const first = finding.mend.find((line) => !line.startsWith("#"));
    expect(first).toBe(status === "ok" ? undefined : command);
  });
});

it.each([
  [DEBIAN, 1, "# roots of your own go to /usr/local/share/ca-certificates"],
  [FEDORA, 1, "# roots of your own go to /etc/pki/ca-trust"],
  [DEBIAN, 0, "postconf -e"], // there are none
])("roots of one's own are not lost with the file that is named instead: %j, %i", (bundle, own, line) => {
  const facts = { commands: new PostfixCommands(undefined) };
  const { mend } = judgeRoots({ sources: [source({ known: 0, own })], appendsDefault: false, bundle }, facts);
  expect(mend[0]).toContain(line);
});

it("no command printed takes a machine the resolver it has", () => {
  const { mend } = judgeResolver({ servers: [careless], trusted: true, daneEnabled: true });
  expect(mend.filter((line) => !line.startsWith("#")).join("\n")).not.toContain("/etc/resolv.conf");
});

const ended = (code: number, stderr: string) => ({ kind: "ended", code, stdout: "", stderr }) as const;

describe("postmap", () => {
  it.each([
    [[ended(1, "")], "ok"], // not found, and nothing to complain of
    [[ended(0, "")], "ok"],
    [[ended(1, "postmap: fatal: table x: query error")], "problem"],
    [[ended(1, ""), ended(1, "postmap: fatal: open database")], "problem"], // one that fails is enough
    [[{ kind: "failed", reason: "it did not end in time" }], "problem"],
    [[{ kind: "missing" }], "unknown"],
    [[], "skipped"],
  ] as const)("%j: %s", (results, status) => {
    const facts = results.map((result) => ({ table: "tcp:a:1", user: undefined, result, milliseconds: 1 }));
    expect(judgePostmap(facts).status).toBe(status);
  });
});

it.each([
  [1_000 * MiB, "ok"],
  [99 * MiB, "warning"],
  [9 * MiB, "problem"],
  [undefined, "unknown"],
])("%s bytes free: %s", (free, status) => {
  expect(judgeFreeSpace("/var/lib/stsmapd/cache.sqlite", free).status).toBe(status);
});
