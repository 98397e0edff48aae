import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askUntil, PostfixProcess } from "../helpers/postfix-process.ts";
import { eventually } from "./process.ts";
import { mx } from "./receivers.ts";
import { missingForSystemd, SystemdMachine } from "./systemd-machine.ts";
import { policy, World } from "./world.ts";

const missing = await missingForSystemd();

const CONFIG = "/etc/stsmapd/stsmapd.yaml";
const SERVICE = "stsmapd.service";
const SOCKETS = ["stsmapd.socket", "stsmapd-tcp-table.socket"];

/** Exposure by `systemd-analyze security`: the bound. */
const MAX_EXPOSURE = 1.5;
const RESTARTS = 20;

async function answer(): Promise<string> {
  using client = new PostfixProcess("socketmap", "127.0.0.1:8461");
  return (await client.ask("localhost")).status;
}

describe.skipIf(missing !== undefined)(`the real systemd (${missing ?? "as process 1"})`, () => {
  let world: World;
  let machine: SystemdMachine;
  let settings: string;

  beforeAll(async () => {
    world = await World.start("systemd");
    await world.stsmapd.stop();
    machine = await SystemdMachine.start(`${world.folder}/machine`);
    settings = world.stsmapd.networkSettings();
    await machine.write(CONFIG, settings);
  }, 120_000);
  afterAll(async () => {
    await machine?.stop();
    await world?.stop();
  });

  const restarts = () => machine.property(SERVICE, "NRestarts");
  /** Writes bytes, as printf(1) takes them, into the cache file of a daemon that is stopped. */
  const overwriteCache = (offset: number, bytes: string) => {
    const script = `printf '${bytes}' | dd of=/var/lib/stsmapd/cache.sqlite bs=1 seek=${offset} conv=notrunc`;
    return machine.mustRun("sh", ["-c", script]);
  };
  /** What doctor finds in one of its checks. */
  const doctor = async (name: string) => {
    const { stdout } = await machine.run("stsmapd", ["doctor", "--json", "--no-probe"]);
    const { findings }: { findings: readonly { check: string; status: string; found: string }[] } =
      JSON.parse(stdout);
    return findings.find(({ check }) => check === name);
  };

  it("finds nothing to complain of in the units", async () => {
    const result = await machine.run("systemd-analyze", ["verify", "--man=no", SERVICE, ...SOCKETS]);
    expect(result).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it(`rates the exposure of the service ${MAX_EXPOSURE} or less`, async () => {
    const analysis = await machine.run("systemd-analyze", ["security", "--offline=yes", SERVICE]);
    const exposure = /exposure level for stsmapd\.service: ([0-9.]+)/u.exec(analysis.stdout)?.[1];
    expect(Number(exposure)).toBeLessThanOrEqual(MAX_EXPOSURE);
  });

  it("holds the service for started when it answers, and not before", async () => {
    await machine.systemctl("start", SERVICE);
    expect(await answer()).toBe("NOTFOUND");
    expect(await machine.property(SERVICE, "StatusText")).toBe("answering on 127.0.0.1:8461");
    // What runs Postfix on Debian 12; systemd tells the order of units only while both are loaded.
    expect(await machine.property("postfix@-.service", "After")).toContain(SERVICE);
    await machine.systemctl("stop", SERVICE);
    expect(await machine.property(SERVICE, "Result")).toBe("success");
  });

  it("writes its state to the log on SIGUSR1", async () => {
    await machine.systemctl("restart", SERVICE);
    await machine.systemctl("kill", "--signal=USR1", "--kill-whom=main", SERVICE);
    const isWritten = async () => (await machine.log()).includes('"msg":"state"');
    expect(await eventually("the state", isWritten)).toBe(true);
  });

  it("is told of a reload, which fails where the configuration is wrong", async () => {
    await machine.systemctl("restart", SERVICE);
    await machine.write(CONFIG, `${settings}log: { level: debug }\n`);
    await machine.systemctl("reload", SERVICE);
    expect(await machine.log()).toContain("configuration read again");

    await machine.write(CONFIG, `${settings}lisen: []\n`);
    const failed = await machine.run("systemctl", ["reload", SERVICE]);
    expect(failed.code).not.toBe(0);
    const errors = await machine.run("journalctl", ["--output=cat", "--priority=err", `--unit=${SERVICE}`]);
    expect(errors.stdout).toContain("did you mean listen?");
    expect(errors.stdout).not.toContain('"level":"info"');
    expect(await answer()).toBe("NOTFOUND");
    expect(await machine.property(SERVICE, "ActiveState")).toBe("active");
    await machine.systemctl("stop", SERVICE);
  });

  it("reports a wrong configuration at the start, and brings the service up once it is mended", async () => {
    const started = await machine.run("systemctl", ["start", SERVICE]);
    expect(started.code).not.toBe(0);
    expect(await machine.property(SERVICE, "ExecMainStatus")).toBe("78");
    await machine.write(CONFIG, settings);
    await eventually(
      "the service to be up",
      async () => (await machine.property(SERVICE, "ActiveState")) === "active",
    );
    expect(await answer()).toBe("NOTFOUND");
    await machine.systemctl("stop", SERVICE);
  });

  it("hides the folders of users: a file of roots there is said to be out of reach", async () => {
    await machine.run("cp", ["/etc/ssl/certs/ca-certificates.crt", "/root/roots.pem"]);
    await machine.write(CONFIG, "fetch: { ca_file: /root/roots.pem }\n");
    const started = await machine.run("systemctl", ["start", SERVICE]);
    expect(started.code).not.toBe(0);
    expect(await machine.log()).toMatch(
      /cannot read the trusted roots in \/root\/roots\.pem: .*put it into \/etc\/stsmapd/,
    );
    await machine.systemctl("stop", SERVICE);
    await machine.write(CONFIG, settings);
  });

  it("refuses the cache of a newer version, until that is moved away", async () => {
    await overwriteCache(60, String.raw`\0\0\0\143`); // the version of the tables
    const started = await machine.run("systemctl", ["start", SERVICE]);
    expect(started.code).not.toBe(0);
    expect(await machine.property(SERVICE, "ExecMainStatus")).toBe("78");
    expect(await machine.log()).toContain(`newer stsmapd (version 99 of the tables`);
    await machine.mustRun("sh", [
      "-c",
      "mkdir /root/newer && mv /var/lib/stsmapd/cache.sqlite* /root/newer/",
    ]);
    await machine.systemctl("start", SERVICE);
    expect(await answer()).toBe("NOTFOUND");
    await machine.systemctl("stop", SERVICE);
  });

  it("lets the daemon search its file for damage", async () => {
    // A page beyond the end as the first of the free list, which nothing but a search finds.
    await overwriteCache(32, String.raw`\0\0\377\377\0\0\0\1`);
    await machine.systemctl("start", SERVICE);
    const isSetAside = async () => (await machine.log()).includes("cache.sqlite.damaged-");
    expect(await eventually("the file to be set aside", isSetAside)).toBe(true);
    await machine.systemctl("stop", SERVICE);
  });

  it("restarts a daemon that hangs, and no other", async () => {
    await machine.dropIn(SERVICE, "[Service]\nWatchdogSec=2s\n");
    await machine.systemctl("start", SERVICE);
    const before = await restarts();
    const fed = new Set<string>();
    await eventually("the watchdog to be fed", async () => {
      fed.add(await machine.property(SERVICE, "WatchdogTimestampMonotonic"));
      return fed.size > 2;
    });
    expect(await restarts()).toBe(before);

    const pid = await machine.property(SERVICE, "MainPID");
    await machine.systemctl("kill", "--signal=STOP", "--kill-whom=main", SERVICE);
    await eventually("another daemon to be ready", async () => {
      const other = (await machine.property(SERVICE, "MainPID")) !== pid;
      return other && (await machine.property(SERVICE, "ActiveState")) === "active";
    });
    expect(await machine.log()).toContain("Watchdog timeout");
    expect(await answer()).toBe("NOTFOUND");
    await machine.systemctl("stop", SERVICE);
  });

  it(`loses no lookup over ${RESTARTS} restarts under load when it holds the sockets`, async () => {
    const sts = { id: "1", policy: policy("enforce", [mx.good]) };
    const enforced = await world.publish({ name: "systemd.example", mx: [mx.good], sts });
    const path = `${world.folder}/socketmap`;
    const more = `[Socket]\nListenStream=[::1]:8461\nListenStream=${path}\n`;
    await machine.dropIn("stsmapd.socket", more);
    await machine.systemctl("start", ...SOCKETS);

    const address = `127.0.0.1:8461`;
    using first = new PostfixProcess("socketmap", address);
    const expected = { status: "OK", text: `secure match=${mx.good} servername=hostname` };
    expect(await first.ask(enforced.name), "it starts the service").toEqual(expected);
    await machine.reports(`answering on ${address}, [::1]:8461, unix:${path}, 127.0.0.1:8462`);

    const found = `answers on ${address}, [::1]:8461, unix:${path}, 127.0.0.1:8462 within`;
    expect(await doctor("daemon")).toMatchObject({ status: "ok", found: expect.stringContaining(found) });
    expect(await doctor("readiness")).toMatchObject({ status: "ok" });

    await machine.write(CONFIG, `${settings}listen: [{ protocol: socketmap, address: "${address}" }]\n`);
    expect(await doctor("unit")).toMatchObject({
      status: "warning",
      found: expect.stringContaining("cannot start again"),
    });
    await machine.write(CONFIG, settings);
    await machine.systemctl("enable", "stsmapd.socket");
    expect(await doctor("unit")).toMatchObject({
      status: "ok",
      found: expect.stringContaining("which is enabled"),
    });

    const before = await restarts();
    const overSocketmap = [address, "[::1]:8461", `unix:${path}`].map(
      (where) => new PostfixProcess("socketmap", where),
    );
    // Postfix waits a second before it tries such a connection again: it is not waited for.
    const processes = [...overSocketmap, new PostfixProcess("tcp_table", "127.0.0.1:8462")];
    const done = new AbortController();
    const asking = askUntil(done.signal, processes, [enforced.name]);
    for (let n = 0; n < RESTARTS; n++) {
      const asked = overSocketmap.map(({ lookups }) => lookups);
      await machine.systemctl("restart", SERVICE);
      await eventually("everybody to ask again", async () =>
        overSocketmap.every(({ lookups }, index) => lookups > (asked[index] ?? 0) + 5),
      );
    }
    done.abort();
    const answers = await asking;
    for (const process of processes) process[Symbol.dispose]();

    const wrong = answers.filter(({ answer: given }) => given.text !== expected.text);
    expect(wrong).toEqual([]);
    expect(answers.length).toBeGreaterThan(RESTARTS * processes.length);
    expect(processes.reduce((sum, { retries }) => sum + retries, 0)).toBeGreaterThanOrEqual(RESTARTS);
    console.log(`${RESTARTS} restarts, ${answers.length} lookups, ${wrong.length} lost`);
    expect(await restarts(), "restarts that nobody asked for").toBe(before);
    await machine.systemctl("stop", SERVICE, ...SOCKETS);
  }, 180_000);
});
