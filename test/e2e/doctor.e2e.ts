import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { forkyFolder, hasForky } from "./forky.ts";
import { worldFolder } from "./namespaces.ts";
import { mustRun, run } from "./process.ts";
import { mx } from "./receivers.ts";
import { Resolver } from "./resolver.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { socketFolder } from "./stsmapd.ts";
import { policy } from "./world.ts";

// A machine in good order, and each way in which it can be out of it. Where doctor prints a command that can be run here, it
// is run, and after it nothing is left to mend.

const world = useWorld("doctor");
const checkout = new URL("../..", import.meta.url).pathname;

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly found: string;
  readonly mend: readonly string[];
}

interface Report {
  readonly exit: number;
  readonly status: string;
  readonly findings: readonly Finding[];
}

const good = `
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
`;

interface Patient {
  readonly sender: () => Sender;
  /** The map for this version. */
  readonly map: string;
  /** Where its postconf(1) and postmap(1) are. */
  readonly path: string;
}

beforeAll(async () => {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  await world().publish({ name: "probe.example", mx: [mx.good], sts });
  // The daemon has a cache file with something in it.
  await world().sender.query("socketmap:inet:127.0.0.1:8461:postfix", "probe.example");
});

/** Runs doctor on the world, or with another configuration of stsmapd, which `change` makes of its own. */
async function examine({ sender, path }: Patient, probe = "probe.example", change = keep): Promise<Report> {
  const text = await readFile(world().stsmapd.configFile, "utf8");
  const config = `${world().folder}/doctor.yaml`;
  await writeFile(config, JSON.stringify(change(JSON.parse(text))));
  await chmod(config, 0o644);
  const options = ["--json", "-c", config, "-C", sender().postfix.configFolder, "--probe", probe];
  const env = { PATH: path };
  const result = await run(process.execPath, ["src/main.ts", "doctor", ...options], { cwd: checkout, env });
  expect(result.stderr).toBe("");
  return { exit: result.code, ...JSON.parse(result.stdout) };
}

type Configuration = Readonly<Record<string, object>>;
const keep = (config: Configuration): Configuration => config;

function ofCheck(report: Report, check: string): Finding {
  const finding = report.findings.find((candidate) => candidate.check === check);
  if (finding === undefined) throw new Error(`no finding of ${check}`);
  return finding;
}

function notOk({ findings }: Report): Finding[] {
  return findings.filter(({ status }) => status !== "ok" && status !== "skipped");
}

/** Does what the finding says, as far as it is for a shell. */
async function obey({ path }: Patient, { mend }: Finding): Promise<void> {
  const commands = mend.filter((line) => !line.startsWith("#"));
  expect(commands).not.toEqual([]);
  for (const command of commands) await mustRun("sh", ["-c", command], { env: { PATH: path } });
}

const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";
const debian12: Patient = { sender: () => world().sender, map: "postfix", path: systemPath };

describe("Postfix 3.7", () => {
  beforeAll(async () => {
    await debian12.sender().postfix.configure(good);
  });
  holdsFor(debian12);

  it.each([
    ["3.10's attributes", "socketmap:inet:127.0.0.1:8461:postfix310", "problem", "defers all mail"],
    [
      "tlspol's map with 3.10's attributes",
      "socketmap:inet:127.0.0.1:8461:QUERYwithTLSRPT",
      "problem",
      "defers all",
    ],
  ])("a map with %s is a problem", async (_, table, status, text) => {
    await debian12.sender().postfix.configure(`${good}smtp_tls_policy_maps = ${table}\n`);
    const finding = ofCheck(await examine(debian12), "map");
    expect(finding).toMatchObject({ status, found: expect.stringContaining(text) });
    await obey(debian12, finding);
    expect(notOk(await examine(debian12))).toEqual([]);
  });
});

describe.skipIf(!(await hasForky()))("Postfix 3.11 (needs the forky folder)", () => {
  const path = `${worldFolder}/forky-bin`;
  const forky: Patient = {
    sender: () => world().senders[1]!,
    map: "postfix310",
    path: `${path}:${systemPath}`,
  };
  beforeAll(async () => {
    const sender = await world().addSender("sender311", {}, forkyFolder);
    await sender.postfix.configure(good + tableOf(forky));
    await mkdir(path, { recursive: true });
    for (const name of ["postconf", "postmap", "postfix"]) {
      await writeFile(`${path}/${name}`, `#!/bin/sh\nexec chroot ${forkyFolder} ${name} "$@"\n`);
      await chmod(`${path}/${name}`, 0o755);
    }
  });
  holdsFor({ ...forky });

  it.each([
    ["the map of 3.4", "map", "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix", "leaves out"],
    ["MX patterns not enforced", "mx-patterns", "smtp_tls_enforce_sts_mx_patterns = no", "not skipped"],
  ])("%s is a warning", async (_, check, line, text) => {
    await forky
      .sender()
      .postfix.configure(`${good}${line.includes("policy_maps") ? "" : tableOf(forky)}${line}\n`);
    const report = await examine(forky);
    const finding = ofCheck(report, check);
    expect(finding).toMatchObject({ status: "warning", found: expect.stringContaining(text) });
    expect(report.exit).toBe(1);
    await obey(forky, finding);
    expect(notOk(await examine(forky))).toEqual([]);
  });
});

function tableOf({ map }: Patient): string {
  return `smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:${map}\n`;
}

/** What is to be true of every version. */
function holdsFor(patient: Patient): void {
  const configure = (lines: string) => {
    const names = new Set(lines.match(/^\w+/gmu));
    const kept = (good + tableOf(patient))
      .split("\n")
      .filter((line) => !names.has(line.split(" ", 1)[0] ?? ""));
    return patient.sender().postfix.configure(`${kept.join("\n")}\n${lines}\n`);
  };
  const edit = (...args: string[]) => patient.sender().postfix.command("postconf", args);
  afterEach(() => configure(""));

  it("in good order all is ok, with status 0", async () => {
    const report = await examine(patient);
    expect(notOk(report)).toEqual([]);
    expect(report).toMatchObject({ exit: 0, status: "ok" });
    const checks = [
      "daemon",
      "readiness",
      "policy-table",
      "map",
      "postmap",
      "security-level",
      "trusted-roots",
      "resolver",
    ];
    for (const check of [
      ...checks,
      "postfix-resolver",
      "policy-host",
      "clock",
      "cache",
      "disk",
      "configuration",
    ])
      expect(ofCheck(report, check).status, check).toBe("ok");
  });

  it.each([
    ["no table", "policy-table", "smtp_tls_policy_maps =", "problem", "asks nobody"],
    [
      "another table only",
      "policy-table",
      "smtp_tls_policy_maps = inline:{a.example=may}",
      "problem",
      "is a listener",
    ],
    [
      "another port",
      "policy-table",
      "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8999:postfix",
      "problem",
      "8999",
    ],
    [
      "an unknown map",
      "map",
      "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfux",
      "warning",
      "postfux",
    ],
    ["level may", "security-level", "smtp_tls_security_level = may", "problem", "checked by nobody"],
    ["level encrypt", "security-level", "smtp_tls_security_level = encrypt", "problem", "checked by nobody"],
    ["level none", "security-level", "smtp_tls_security_level = none", "problem", "checked by nobody"],
    ["level secure", "security-level", "smtp_tls_security_level = secure", "warning", "most domains"],
    ["level dane-only", "security-level", "smtp_tls_security_level = dane-only", "warning", "neither DANE"],
    ["no dnssec", "security-level", "smtp_dns_support_level = enabled", "problem", "not dnssec"],
    ["no DNS", "security-level", "smtp_host_lookup = native", "problem", "smtp_host_lookup"],
    ["old TLS only", "tls-versions", "smtp_tls_mandatory_protocols = TLSv1, TLSv1.1", "problem", "neither"],
    ["no roots", "trusted-roots", "smtp_tls_CAfile =", "problem", "neither"],
    [
      "a root file that is not there",
      "trusted-roots",
      "smtp_tls_CAfile = /nonexistent.pem",
      "problem",
      "ENOENT",
    ],
    [
      "a private root only",
      "trusted-roots",
      `smtp_tls_CAfile = ${worldFolder}/doctor/ca/root.pem`,
      "problem",
      "0 public",
    ],
    [
      "a root folder without hashes",
      "trusted-roots",
      "smtp_tls_CAfile =\nsmtp_tls_CApath = /usr/share",
      "problem",
      "0 public",
    ],
    ["reuse without tlsproxy", "connection-reuse", "smtp_tls_connection_reuse = yes", "problem", "tlsproxy"],
    ["a relay host", "route", "relayhost = [mail.example]", "warning", "[mail.example]"],
    ["another transport", "route", "default_transport = smtp:[mail.example]", "warning", "default_transport"],
  ])("%s: found, and mended by the command it prints", async (_, check, lines, status, text) => {
    await configure(lines);
    const report = await examine(patient);
    const finding = ofCheck(report, check);
    expect(finding).toMatchObject({ status, found: expect.stringContaining(text) });
    expect(report.exit).toBe(report.findings.some((one) => one.status === "problem") ? 2 : 1);
    await obey(patient, finding);
    const after = await examine(patient);
    expect(notOk(after)).toEqual([]);
    expect(after.exit).toBe(0);
    if (check === "connection-reuse") await edit("-MX", "tlsproxy/unix");
  });

  it("a service with a table of its own is a warning, mended by the command it prints", async () => {
    await edit("-P", "relay/unix/smtp_tls_policy_maps=inline:{a.example=may}");
    const finding = ofCheck(await examine(patient), "overrides");
    expect(finding).toMatchObject({ status: "warning", found: expect.stringContaining("relay/unix") });
    await obey(patient, finding);
    expect(notOk(await examine(patient))).toEqual([]);
  });

  it("in the chroot a folder of roots is looked for there", async () => {
    await configure("smtp_tls_CAfile =\nsmtp_tls_CApath = /etc/ssl/certs");
    expect(notOk(await examine(patient))).toEqual([]);
    await edit("-F", "smtp/unix/chroot=y");
    try {
      const finding = ofCheck(await examine(patient), "trusted-roots");
      expect(finding).toMatchObject({
        status: "problem",
        found: expect.stringContaining("in the chroot: /"),
      });
      await obey(patient, finding);
      expect(ofCheck(await examine(patient), "trusted-roots").status).toBe("ok");
    } finally {
      await edit("-F", "smtp/unix/chroot=n");
    }
  });

  it("in the chroot resolv.conf is to be the machine's", async () => {
    await edit("-F", "smtp/unix/chroot=y");
    try {
      const finding = ofCheck(await examine(patient), "postfix-resolver");
      expect(finding).toMatchObject({ status: "warning", found: expect.stringContaining("etc/resolv.conf") });
      await mkdir(`${patient.sender().postfix.folder}/queue/etc`, { recursive: true });
      await obey(patient, finding);
      expect(ofCheck(await examine(patient), "postfix-resolver").status).toBe("ok");
    } finally {
      await edit("-F", "smtp/unix/chroot=n");
    }
  });
}

describe("the unix socket", () => {
  const table = `smtp_tls_policy_maps = socketmap:unix:${socketFolder}/socketmap:postfix\n`;
  beforeAll(() => debian12.sender().postfix.configure(good + table));
  afterAll(() => debian12.sender().postfix.configure(good));

  it("is ok where Postfix's user may use it", async () => {
    // In the forky folder the group has another number.
    await mustRun("chgrp", ["-R", "postfix", socketFolder]);
    const report = await examine(debian12);
    expect(notOk(report)).toEqual([]);
    expect(ofCheck(report, "socket").status).toBe("ok");
    expect(ofCheck(report, "postmap").found).toContain("as postfix");
  });

  it("is a problem where that user may not enter the folder, mended by the command it prints", async () => {
    await mustRun("chown", ["root:root", socketFolder]);
    await chmod(socketFolder, 0o750);
    const report = await examine(debian12);
    const finding = ofCheck(report, "socket");
    expect(finding).toMatchObject({
      status: "problem",
      found: expect.stringContaining(`enter ${socketFolder}`),
    });
    expect(ofCheck(report, "postmap").status).toBe("problem");
    expect(ofCheck(report, "daemon").status).toBe("ok");
    await obey(debian12, finding);
    expect(notOk(await examine(debian12))).toEqual([]);
  });

  it("is a problem where that user may not write to it", async () => {
    await chmod(`${socketFolder}/socketmap`, 0o600);
    const report = await examine(debian12);
    expect(ofCheck(report, "socket")).toMatchObject({
      status: "problem",
      found: expect.stringContaining("may not write"),
    });
    expect(ofCheck(report, "postmap").status).toBe("problem");
    await chmod(`${socketFolder}/socketmap`, 0o660);
    expect(notOk(await examine(debian12))).toEqual([]);
  });

  it("is out of reach from the chroot", async () => {
    await debian12.sender().postfix.command("postconf", ["-F", "smtp/unix/chroot=y"]);
    try {
      const finding = ofCheck(await examine(debian12), "policy-table");
      expect(finding).toMatchObject({ status: "problem", found: expect.stringContaining("chrooted") });
      await obey(debian12, finding);
      expect(ofCheck(await examine(debian12), "policy-table")).toMatchObject({
        status: "ok",
        found: expect.stringContaining("inet:127.0.0.1:8461"),
      });
    } finally {
      await debian12.sender().postfix.command("postconf", ["-F", "smtp/unix/chroot=n"]);
    }
  });
});

describe("the Internet", () => {
  it.each([
    ["no policy", { name: "none.example", mx: [mx.good] }, "warning", "has no policy"],
    [
      "a policy host that is down",
      { name: "down.example", mx: [], records: ['_mta-sts TXT "v=STSv1; id=1;"', "mta-sts A 10.53.2.250"] },
      "problem",
      "TCP failed directly",
    ],
    [
      "a policy host without an address",
      { name: "lost.example", mx: [], records: ['_mta-sts TXT "v=STSv1; id=1;"'] },
      "problem",
      "DNS failed directly",
    ],
    [
      "a policy that is none",
      { name: "bad.example", mx: [], sts: { id: "1", policy: "nonsense\n" } },
      "problem",
      "HTTP failed directly",
    ],
  ])("%s", async (_, domain, status, text) => {
    await world().publish(domain);
    const finding = ofCheck(await examine(debian12, domain.name), "policy-host");
    expect(finding).toMatchObject({ status, found: expect.stringContaining(text) });
    expect(finding.mend).not.toEqual([]);
  });

  it("DNS that fails for the record", async () => {
    await world().nameServer.publishBroken("servfail.example");
    const finding = ofCheck(await examine(debian12, "servfail.example"), "policy-host");
    expect(finding).toMatchObject({ status: "problem", found: expect.stringContaining("DNS failed") });
  });

  it("a certificate by an authority that is not trusted", async () => {
    const change = (config: Configuration) => ({ ...config, fetch: { ...config["fetch"], ca_file: null } });
    const finding = ofCheck(await examine(debian12, "probe.example", change), "policy-host");
    expect(finding).toMatchObject({ status: "problem", found: expect.stringContaining("TLS failed") });
  });

  it("a proxy that is down", async () => {
    const proxy = "http://127.0.0.1:3128";
    const change = (config: Configuration) => ({ ...config, fetch: { ...config["fetch"], proxy } });
    const finding = ofCheck(await examine(debian12, "probe.example", change), "policy-host");
    expect(finding).toMatchObject({
      status: "problem",
      found: expect.stringContaining(`through the proxy ${proxy}`),
    });
  });
});

describe("the resolver", () => {
  const resolvConf = `${worldFolder}/etc/resolv.conf`;
  let careless: Resolver;
  beforeAll(async () => {
    careless = new Resolver(`${world().folder}/careless`, { address: "127.0.0.2", validates: false });
    await careless.start(world().nameServer.trustAnchor);
  });
  afterEach(() => writeFile(resolvConf, "nameserver 127.0.0.1\n"));
  afterAll(() => careless.stop());

  it.each([
    ["does not validate", "nameserver 127.0.0.2\n", "warning"],
    ["is joined by one that does not validate", "nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "warning"],
  ])("%s", async (_, text, status) => {
    await writeFile(resolvConf, text);
    const report = await examine(debian12);
    for (const check of ["resolver", "postfix-resolver"]) {
      const found = expect.stringContaining("127.0.0.2:53 does not validate");
      expect(ofCheck(report, check)).toMatchObject({ status, found });
    }
  });

  it("is dead", async () => {
    await writeFile(resolvConf, "nameserver 127.0.0.3\n");
    const report = await examine(debian12);
    for (const check of ["resolver", "postfix-resolver", "policy-host"])
      expect(ofCheck(report, check), check).toMatchObject({ status: "problem" });
    expect(report.exit).toBe(2);
  });

  it("is not on this machine", async () => {
    await mustRun("ip", ["address", "add", "10.54.0.1/32", "dev", "lo"]);
    const remote = new Resolver(`${world().folder}/remote`, { address: "10.54.0.1" });
    await remote.start(world().nameServer.trustAnchor);
    await writeFile(resolvConf, "nameserver 10.54.0.1\n");
    const finding = ofCheck(await examine(debian12), "resolver");
    expect(finding).toMatchObject({ status: "warning", found: expect.stringContaining("not trusted") });
    const trusting = (config: Configuration) => ({ ...config, dns: { trust_ad: "always" } });
    expect(ofCheck(await examine(debian12, "probe.example", trusting), "resolver").status).toBe("ok");
    await remote.stop();
  });
});

describe("the daemon", () => {
  it("is down", async () => {
    await world().stsmapd.stop();
    const report = await examine(debian12);
    expect(ofCheck(report, "daemon")).toMatchObject({
      status: "problem",
      found: expect.stringContaining("no answer"),
    });
    expect(ofCheck(report, "postmap").status).toBe("problem");
    expect(ofCheck(report, "readiness").status).toBe("warning");
    expect(ofCheck(report, "cache").status).toBe("ok");
    expect(report.exit).toBe(2);
    await world().stsmapd.start();
    expect(notOk(await examine(debian12))).toEqual([]);
  });
});
