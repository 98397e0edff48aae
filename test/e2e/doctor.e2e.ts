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
const withoutRoots = (config: Configuration) => ({ ...config, fetch: { ...config["fetch"], ca_file: null } });
const untrusting = (config: Configuration) => ({ ...config, dns: { trust_ad: "never" } });

function ofCheck(report: Report, check: string): Finding {
  const finding = report.findings.find((candidate) => candidate.check === check);
  if (finding === undefined) throw new Error(`no finding of ${check}`);
  return finding;
}

function notOk({ findings }: Report): Finding[] {
  return findings.filter(({ status }) => status !== "ok" && status !== "skipped");
}

/** Does what a finding says, as far as it is for a shell, but for reloading, which takes seconds and changes no setting. */
async function obey(patient: Patient, { mend }: Finding): Promise<void> {
  const { postfix } = patient.sender();
  const reload = `postfix -c ${postfix.configFolder} reload`;
  const commands = mend.filter((line) => !line.startsWith("#") && line !== reload);
  expect(commands).not.toEqual([]);
  for (const command of commands) await mustRun("sh", ["-c", command], { env: { PATH: patient.path } });
  await postfix.settle();
}

const sender311 = () => world().senders[1]!;
const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin";
const debian12: Patient = { sender: () => world().sender, map: "postfix", path: systemPath };

interface Broken {
  /** In place of the good settings of these names. */
  readonly lines: string;
  readonly expected: readonly Expected[];
}

const broken: readonly Broken[] = [
  {
    lines: `smtp_tls_policy_maps =
smtp_tls_security_level = may
smtp_tls_mandatory_protocols = TLSv1, TLSv1.1
smtp_tls_CAfile =
default_transport = smtp:[mail.example]`,
    expected: [
      ["policy-table", "problem", "asks nobody"],
      ["security-level", "problem", "checked by nobody"],
      ["tls-versions", "problem", "neither"],
      ["trusted-roots", "problem", "neither"],
      ["route", "warning", "default_transport"],
    ],
  },
  {
    lines: `smtp_tls_policy_maps = inline:{a.example=may}
smtp_tls_security_level = none
smtp_tls_CAfile = ${worldFolder}/doctor/ca/ca.pem
smtp_tls_connection_reuse = yes`,
    expected: [
      ["policy-table", "problem", "is a listener"],
      ["security-level", "problem", "checked by nobody"],
      ["trusted-roots", "problem", "0 public"],
      ["connection-reuse", "problem", "tlsproxy"],
    ],
  },
  {
    lines: `smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8999:postfix
smtp_host_lookup = native
smtp_tls_CAfile = /nonexistent.pem`,
    expected: [
      ["policy-table", "problem", "8999"],
      ["postmap", "problem", "8999"],
      ["security-level", "problem", "smtp_host_lookup"],
      ["trusted-roots", "problem", "ENOENT"],
    ],
  },
  {
    lines: `smtp_dns_support_level = enabled
smtp_tls_CAfile =
smtp_tls_CApath = /usr/share`,
    expected: [
      ["security-level", "problem", "not dnssec"],
      ["trusted-roots", "problem", "0 public"],
    ],
  },
  {
    lines: `smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfux
smtp_tls_security_level = secure
relayhost = [mail.example]`,
    expected: [
      ["map", "warning", "postfux"],
      ["security-level", "warning", "most domains"],
      ["route", "warning", "[mail.example]"],
    ],
  },
];

describe("Postfix 3.7", () => {
  beforeAll(() => debian12.sender().postfix.configure(good + tableOf(debian12)));
  holdsFor(debian12, broken);

  it.each([
    ["postfix310", "problem", "defers all mail"],
    ["QUERYwithTLSRPT", "problem", "defers all mail"],
  ])("the map %s is a %s", async (map, status, text) => {
    await debian12.sender().postfix.configure(good + tableOf({ ...debian12, map }));
    const finding = ofCheck(await examine(debian12), "map");
    expect(finding).toMatchObject({ status, found: expect.stringContaining(text) });
    await obey(debian12, finding);
    expect(notOk(await examine(debian12))).toEqual([]);
  });

  it("reloads by the command that is printed", async () => {
    await debian12
      .sender()
      .postfix.configure(good + tableOf(debian12) + "smtp_dns_support_level = enabled\n");
    const command = ofCheck(await examine(debian12), "security-level").mend.at(-1);
    expect(command).toBe(`postfix -c ${debian12.sender().postfix.configFolder} reload`);
    await mustRun("sh", ["-c", String(command)], { env: { PATH: systemPath } });
  });
});

describe.skipIf(!(await hasForky()))("Postfix 3.11 (needs the forky folder)", () => {
  const path = `${worldFolder}/forky-bin`;
  const forky: Patient = { sender: sender311, map: "postfix310", path: `${path}:${systemPath}` };
  beforeAll(async () => {
    await world().addSender("sender311", {}, forkyFolder);
    await sender311().postfix.configure(good + tableOf(forky));
    await mkdir(path, { recursive: true });
    // Not postmap(1): Postfix's user may not chroot(1), and asks the same by that of 3.7.
    for (const name of ["postconf", "postfix"]) {
      await writeFile(`${path}/${name}`, `#!/bin/sh\nexec chroot ${forkyFolder} /usr/sbin/${name} "$@"\n`);
      await chmod(`${path}/${name}`, 0o755);
    }
  });
  holdsFor(forky, broken.slice(0, 1));

  it("the map of 3.4, and MX patterns that are not enforced, are warnings", async () => {
    const { postfix } = sender311();
    await postfix.configure(
      `${good + tableOf({ ...forky, map: "postfix" })}smtp_tls_enforce_sts_mx_patterns = no\n`,
    );
    // Before the map is mended there are no patterns to enforce.
    await mends(forky, [["map", "warning", "leaves out"]]);
    await mends(forky, [["mx-patterns", "warning", "not skipped"]]);
    expect(notOk(await examine(forky))).toEqual([]);
  });
});

function tableOf({ map }: Pick<Patient, "map">): string {
  return `smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:${map}\n`;
}

type Expected = readonly [check: string, status: string, found: string];

/** Expects these findings and no other, and does what each says. */
async function mends(patient: Patient, expected: readonly Expected[]): Promise<void> {
  const report = await examine(patient);
  expect(notOk(report)).toEqual(
    expected.map(([check, status, found]) =>
      expect.objectContaining({ check, status, found: expect.stringContaining(found) }),
    ),
  );
  expect(report.exit).toBe(expected.some(([, status]) => status === "problem") ? 2 : 1);
  // What is to be done about a table that fails, another finding says.
  for (const finding of notOk(report)) if (finding.check !== "postmap") await obey(patient, finding);
}

/** What is to be true of every version. */
function holdsFor(patient: Patient, settings: readonly Broken[]): void {
  /** The good settings, but for those that `lines` replace. */
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
    expect(report.findings.filter(({ status }) => status === "skipped").map(({ check }) => check)).toEqual([
      "unit",
      "socket",
      ...(patient.map === "postfix" ? ["mx-patterns"] : []),
      "clients",
    ]);
  });

  it.each(settings)(
    "what these settings break is found, and mended by the commands printed: $lines",
    async ({ lines, expected }) => {
      await configure(lines);
      await mends(patient, expected);
      const after = await examine(patient);
      expect(notOk(after)).toEqual([]);
      expect(after.exit).toBe(0);
    },
  );

  it("a service with a table of its own is a warning, mended by the command printed", async () => {
    await edit("-P", "relay/unix/smtp_tls_policy_maps=inline:{a.example=may}");
    await mends(patient, [["overrides", "warning", "relay/unix"]]);
    expect(notOk(await examine(patient))).toEqual([]);
  });

  it("in the chroot resolv.conf and a folder of roots are looked for there", async () => {
    await configure("smtp_tls_CAfile =\nsmtp_tls_CApath = /etc/ssl/certs");
    expect(notOk(await examine(patient))).toEqual([]);
    const chroot = `${patient.sender().postfix.folder}/queue`;
    await mkdir(`${chroot}/etc`, { recursive: true });
    await writeFile(`${chroot}/etc/resolv.conf`, "nameserver 127.0.0.3\n");
    await edit("-F", "smtp/unix/chroot=y");
    await mends(patient, [
      ["trusted-roots", "problem", `in the chroot: ${chroot}/etc/ssl/certs`],
      ["postfix-resolver", "warning", `${chroot}/etc/resolv.conf`],
    ]);
    expect(notOk(await examine(patient))).toEqual([]);
    await edit("-F", "smtp/unix/chroot=n");
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
      expect(finding).toMatchObject({
        status: "problem",
        found: expect.stringContaining("some run in a chroot"),
      });
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
    const finding = ofCheck(await examine(debian12, "probe.example", withoutRoots), "policy-host");
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
      expect(ofCheck(report, check)).toMatchObject({ status: "problem" });
    expect(report.exit).toBe(2);
  });

  it("is not to be trusted", async () => {
    const finding = ofCheck(await examine(debian12, "probe.example", untrusting), "resolver");
    expect(finding).toMatchObject({ status: "warning", found: expect.stringContaining("not trusted") });
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
