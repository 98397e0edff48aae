/** `stsmapd doctor` as a whole: its table, its JSON, its exit status. Postfix is a script here; test/e2e has the real one. */
import { chmodSync, mkdirSync } from "node:fs";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHECK_NAMES } from "../../src/cli/doctor/finding.ts";
import { Daemon, Home, stsmapd } from "../helpers/stsmapd.ts";
import { startWorld, type World } from "../helpers/world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
  world.publish("probe.example");
});
afterAll(() => world[Symbol.asyncDispose]());

/** A folder with a postconf(1) that prints what a good Postfix would, and a postmap(1) that finds nothing. */
function fakePostfix(home: Home, policyMaps: string): string {
  const folder = join(home.path, "bin");
  mkdirSync(folder);
  const parameters = [
    "compatibility_level = 3.6",
    "config_directory = /etc/postfix",
    "default_process_limit = 100",
    "default_transport = smtp",
    "mail_owner = root",
    "mail_version = 3.9.1",
    "queue_directory = /var/spool/postfix",
    "smtp_dns_support_level = dnssec",
    "smtp_tls_mandatory_protocols = >=TLSv1",
    `smtp_tls_policy_maps = ${policyMaps}`,
    "smtp_tls_security_level = dane",
  ];
  const postconf = `#!/bin/sh
case "$*" in
*-x*) cat <<'END'
${parameters.join("\n")}
END
;;
*-M*) echo 'smtp unix - - n - - smtp' ;;
*-h*) echo '${policyMaps}' ;;
esac
`;
  for (const [name, text] of [
    ["postconf", postconf],
    ["postmap", "#!/bin/sh\nexit 1\n"],
  ] as const)
    chmodSync(home.write(`bin/${name}`, text), 0o755);
  return `${folder}:/usr/bin:/bin`;
}

describe("beside a running daemon", () => {
  let home: Home;
  let daemon: Daemon;
  let env: NodeJS.ProcessEnv;
  let config: string;
  beforeAll(async () => {
    home = new Home();
    const path = home.write(
      "first.yaml",
      `${home.network(world)}listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n`,
    );
    daemon = await Daemon.start(["-c", path], home.environment());
    const [address = ""] = daemon.addresses;
    config = home.write(
      "stsmapd.yaml",
      `${home.network(world)}listen: [{ protocol: socketmap, address: "${address}" }]\n`,
    );
    env = home.environment({ PATH: fakePostfix(home, `socketmap:inet:${address}:postfix`) });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });
  const doctor = (...args: string[]) => stsmapd(["doctor", "-c", config, ...args], env);

  it("its JSON has every check once, in order, and its status is the worst of them", async () => {
    const { status, stdout, stderr } = await doctor("--json", "--probe", "probe.example");
    expect(stderr).toBe("");
    const report = JSON.parse(stdout);
    const names = report.findings.map(({ check }: { check: string }) => check);
    expect(names).toEqual(CHECK_NAMES);
    // The script names no roots.
    expect({ status, worst: report.status }).toEqual({ status: 2, worst: "problem" });
    const statusOf = Object.fromEntries(
      report.findings.map((finding: { check: string; status: string }) => [finding.check, finding.status]),
    );
    expect(statusOf).toMatchObject({
      configuration: "ok",
      daemon: "ok",
      readiness: expect.stringMatching("ok|problem"),
      postfix: "ok",
      "policy-table": "ok",
      map: "ok",
      socket: "skipped",
      postmap: "ok",
      "trusted-roots": "problem",
      "policy-host": "ok",
      cache: "ok",
      disk: "ok",
    });
  });

  it("its table has a line for each check, and the commands below it", async () => {
    const { stdout } = await doctor("--no-probe");
    const lines = stdout.split("\n");
    for (const name of CHECK_NAMES)
      expect(lines).toContainEqual(
        expect.stringMatching(new RegExp(`^(ok|warning|problem|skipped|unknown) +${name} +\\S`)),
      );
    expect(lines).toContainEqual(expect.stringMatching(/^ +\$ postfix reload$/));
    expect(lines).toContainEqual(expect.stringMatching(/^skipped +policy-host +--no-probe$/));
    expect(stdout).not.toContain("\x1b");
  });
});

it("of a configuration with a mistake it says where, and looks at the rest", async () => {
  using home = new Home();
  const config = home.write("bad.yaml", "log:\n  level: loud\n");
  const PATH = fakePostfix(home, "socketmap:inet:127.0.0.1:8461:postfix");
  const { status, stdout } = await stsmapd(
    ["doctor", "--json", "--no-probe", "-c", config],
    home.environment({ PATH }),
  );
  expect(status).toBe(2);
  expect(JSON.parse(stdout).findings[0]).toMatchObject({
    check: "configuration",
    status: "problem",
    found: expect.stringContaining(`${config}:2:10: log.level: `),
  });
});

it("a server that answers otherwise than a daemon at work is a problem", async () => {
  using home = new Home();
  const server = createServer((client) => client.on("data", () => client.write("9:PERM busy,")));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = `127.0.0.1:${Object(server.address()).port}`;
  const config = home.write("c.yaml", `listen: [{ protocol: socketmap, address: "${address}" }]\n`);
  const env = home.environment({ PATH: "/usr/bin:/bin" });
  const { stdout } = await stsmapd(["doctor", "-c", config, "--no-probe", "--json"], env);
  server.close();
  const { findings }: { findings: readonly object[] } = JSON.parse(stdout);
  const daemon = { check: "daemon", status: "problem", found: expect.stringContaining("PERM busy") };
  expect(findings).toContainEqual(expect.objectContaining(daemon));
}, 30_000);

it("ends by itself where no name server ever answers", async () => {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  using home = new Home();
  const config = home.write(
    "c.yaml",
    `dns: { servers: ["127.0.0.1:${socket.address().port}"], timeout: 1m, attempts: 10 }\n`,
  );
  const PATH = fakePostfix(home, "");
  const { stdout } = await stsmapd(["doctor", "--json", "-c", config], home.environment({ PATH }));
  socket.close();
  const findings: { check: string; status: string }[] = JSON.parse(stdout).findings;
  for (const check of ["resolver", "policy-host"])
    expect(findings.find((finding) => finding.check === check)).toMatchObject({ status: "problem" });
}, 60_000);
