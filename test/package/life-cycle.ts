import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../e2e/process.ts";
import { COMPILE_CACHE_DEBUG, compileCacheUse } from "../helpers/compile-cache.ts";
import { Machine, systemdInit } from "./machine.ts";
import { packageFolder } from "./packages.ts";
import type { Suite } from "./roots.ts";

const install = "apt-get install -y --no-install-recommends";
const first = "/mnt/shared/stsmapd_*-1_amd64.deb";
/** A later version, whose configuration file is another one too. */
const next = "/mnt/shared/stsmapd_*-2_amd64.deb";

const configuration = "/etc/stsmapd/stsmapd.yaml";
const cacheFile = "/var/lib/stsmapd/cache.sqlite";
const compileCache = "/usr/lib/stsmapd/compile-cache";

/** The life of the package on `suite`: where there is no systemd, as in a container, and where it is process 1. */
export function describeLifeCycle(suite: Suite): void {
  describe(`${suite} without systemd`, () => {
    withoutSystemd(suite);
  });
  describe(`${suite} with systemd`, () => {
    withSystemd(suite);
  });
}

function withoutSystemd(suite: Suite): void {
  const machine = useMachine(() => Machine.start(suite, packageFolder));

  it("has no Node before, and after it the command and its account", async () => {
    expect((await machine().run("sh", "-c", "command -v node nodejs systemctl")).stdout).toBe("");
    await machine().sh(`${install} ${first}`);
    expect((await machine().run("sh", "-c", "command -v node nodejs systemctl")).stdout).toBe("");
    expect(await machine().sh("stsmapd --version")).toMatch(/^\d+\.\d+\.\d+\S*\n$/u);
    await machine().sh(
      "test -s /usr/share/man/man8/stsmapd.8.gz && test -s /usr/share/man/man5/stsmapd.yaml.5.gz",
    );
    expect(await machine().sh("getent passwd stsmapd")).toContain(":/var/lib/stsmapd:");
    expect(await machine().sh("stat -c '%U %a' /var/lib/stsmapd")).toBe("stsmapd 700\n");
  });

  it("has what Node compiled, which is root's, and which the account can read", async () => {
    expect(await machine().sh(`find ${compileCache} -type d -printf '%U %m\\n' | sort -u`)).toBe("0 755\n");
    expect(await machine().sh(`find ${compileCache} ! -type d -printf '%U %m %y\\n' | sort -u`)).toBe(
      "0 644 f\n",
    );
  });

  it("answers when the account runs it, and root reads its file, as its owner", async () => {
    await machine().sh("runuser -u stsmapd -- stsmapd serve >/tmp/log 2>&1 &");
    await waitForAnswer(machine());
    // It comes a moment after the listeners.
    await eventually(
      "an admin socket of the account",
      async () =>
        (await machine().run("stat", "-c", "%U", "/var/lib/stsmapd/admin.sock")).stdout === "stsmapd\n",
    );
    await remember(machine(), "kept.example");
    const listed = await machine().sh("stsmapd cache list 2>&1");
    expect(listed).toContain("reading the daemon's file /var/lib/stsmapd/cache.sqlite");
    expect(listed).toMatch(/^kept\.example +enforce/mu);
  });

  it("can be removed and purged", async () => {
    await machine().sh("apt-get remove -y stsmapd");
    await machine().sh(`test -s ${configuration} && test -s ${cacheFile}`);
    await machine().sh("apt-get purge -y stsmapd");
    expect(await machine().sh("ls -d /etc/stsmapd /var/lib/stsmapd /usr/lib/stsmapd 2>&1 || :")).not.toMatch(
      /^\//mu,
    );
  });
}

function withSystemd(suite: Suite): void {
  const machine = useMachine(() => Machine.start(suite, packageFolder, systemdInit));

  it("starts when it is installed, and at the next boot", async () => {
    await eventually(
      "the boot",
      async () => (await machine().run("systemctl", "is-active", "multi-user.target")).code === 0,
    );
    await machine().sh(`${install} ${first}`);
    await waitForAnswer(machine());
    expect(await machine().sh("systemctl is-active stsmapd; systemctl is-enabled stsmapd")).toBe(
      "active\nenabled\n",
    );
    await machine().sh(`touch ${compileCache}/of-the-first-version`);
    await remember(machine(), "kept.example");
  });

  it("an upgrade keeps the edited configuration and the cache, and starts it anew once", async () => {
    await machine().sh(`echo '# of this relay' >>${configuration}`);
    const before = await machine().sh("systemctl show -P MainPID stsmapd");
    const upgraded = await machine().run("sh", "-c", `${install} -o Dpkg::Options::=--force-confdef ${next}`);
    expect(upgraded).toMatchObject({ code: 0, stdout: expect.stringContaining(configuration) });
    await waitForAnswer(machine());

    expect(await machine().sh("systemctl show -P MainPID stsmapd")).not.toBe(before);
    expect(await machine().sh(`journalctl -u stsmapd -o cat | grep -c '"msg":"ready"'`)).toBe("2\n");
    expect(await machine().sh(`tail -n 1 ${configuration}`)).toBe("# of this relay\n");
    expect(await machine().sh(`tail -n 1 ${configuration}.dpkg-dist`)).toBe("# New in this version.\n");
    expect(await machine().sh("stsmapd cache list")).toMatch(/^kept\.example +enforce/mu);
  });

  it("starts from what Node compiled at the upgrade, and adds nothing to it when it stops", async () => {
    const files = await machine().sh(`find ${compileCache} -type f`);
    expect(files).not.toContain("of-the-first-version");

    const dropIn = "/run/systemd/system/stsmapd.service.d";
    await machine().sh(
      `mkdir ${dropIn}; printf '[Service]\\nEnvironment=${COMPILE_CACHE_DEBUG}\\n' >${dropIn}/debug.conf`,
    );
    await machine().sh("systemctl daemon-reload; systemctl restart stsmapd");
    const daemon = (await machine().sh("systemctl show -P MainPID stsmapd")).trim();
    await waitForAnswer(machine());
    await machine().sh(`rm -r ${dropIn}; systemctl daemon-reload; systemctl restart stsmapd`);

    const log = await machine().sh(`journalctl _PID=${daemon} -o cat`);
    // The first file that is loaded when Postfix is already served.
    const [untilServing = ""] = log.split("/dist/cache-admin.js");
    const { accepted, compiled } = compileCacheUse(untilServing);
    expect(accepted).toEqual(expect.arrayContaining(["main.js", "program.js", "serve.js", "config.js"]));
    expect(compiled).toEqual([]);
    expect(await machine().sh(`find ${compileCache} -type f`)).toBe(files);
  });

  it("is stopped when it is removed; configuration and cache stay", async () => {
    await machine().sh("apt-get remove -y stsmapd");
    expect((await machine().run("systemctl", "is-active", "stsmapd")).stdout).not.toBe("active\n");
    expect(await machine().sh(`tail -n 1 ${configuration}`)).toBe("# of this relay\n");
    await machine().sh(`test -s ${cacheFile}`);
    expect((await machine().run("test", "-e", "/usr/lib/stsmapd")).code).toBe(1);
  });

  it("starts with both when it is installed again", async () => {
    await machine().sh(`${install} ${next}`);
    await waitForAnswer(machine());
    expect(await machine().sh("stsmapd cache list")).toMatch(/^kept\.example +enforce/mu);
    expect(await machine().sh("systemctl is-enabled stsmapd")).toBe("enabled\n");
  });

  it("purged, it leaves the account and nothing else", async () => {
    await machine().sh("apt-get purge -y stsmapd");
    const left = await machine().sh(
      "find / -xdev -name '*stsmapd*' -not -path '/mnt/*' -not -path '/var/log/*'",
    );
    expect(left).toBe("");
    await machine().sh("getent passwd stsmapd");
    expect((await machine().run("dpkg", "-s", "stsmapd")).code).toBe(1);
  });

  it("starts with the default configuration and an empty cache when it is installed after that", async () => {
    await machine().sh(`${install} ${first}`);
    await waitForAnswer(machine());
    expect(await machine().sh("stsmapd cache list --json")).toBe("");
    expect((await machine().run("grep", "relay", configuration)).stdout).not.toContain("# of this relay");
  });
}

async function waitForAnswer(machine: Machine): Promise<void> {
  await eventually(
    "an answer",
    async () => (await machine.run("stsmapd", "query", "localhost")).stdout === "NOTFOUND\n",
  );
}

/** Has the daemon remember an enforced policy, as docs/cache.md describes the lines of `cache import`. */
async function remember(machine: Machine, domain: string): Promise<void> {
  const now = Date.now();
  const day = 86_400_000;
  const text = `version: STSv1\nmode: enforce\nmx: mx.${domain}\nmax_age: 2592000\n`;
  const pin = {
    id: "1",
    mode: "enforce",
    mx: [`mx.${domain}`],
    max_age: 2_592_000,
    fetched_at: iso(now),
    expires_at: iso(now + 30 * day),
    renew_at: iso(now + 15 * day),
    text,
  };
  const line = {
    v: 1,
    domain,
    pin,
    failure: null,
    checked_at: iso(now),
    check_at: iso(now + day),
    used_at: iso(now),
  };
  const name = `${crypto.randomUUID()}.jsonl`;
  await writeFile(join(packageFolder, name), `${JSON.stringify(line)}\n`);
  await machine.sh(`stsmapd cache import /mnt/shared/${name}`);
}

function useMachine(start: () => Promise<Machine>): () => Machine {
  let machine: Machine | undefined;
  beforeAll(async () => {
    machine = await start();
  });
  afterAll(async () => machine?.[Symbol.asyncDispose]());
  return () => {
    if (machine === undefined) throw new Error("the machine has not started");
    return machine;
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
