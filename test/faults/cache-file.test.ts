/** The cache file as daemons find it: damaged, out of reach, or shared. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, Home } from "../helpers/stsmapd.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { entry, pin } from "../store/entries.ts";
import { unprivileged } from "../helpers/unprivileged.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const D = "d.example";
const SET_ASIDE = "the cache file was damaged: set aside, what could be read was carried over";
const isRoot = process.geteuid?.() === 0;

function configuration(home: Home, path: string, network = ""): string {
  return home.write(
    "stsmapd.yaml",
    `${network}listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\nstore: { path: ${path} }\n` +
      "dane: { enabled: false }\nadmin: { socket: null }\n",
  );
}

async function ask(daemon: Daemon, domain: string): Promise<string> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  const { status, text } = await client.query("postfix", domain);
  return status === "OK" ? text : status;
}

/** Runs the daemon as somebody who may not do everything. */
function serve(home: Home, path: string) {
  chmodSync(home.path, 0o755);
  const file = configuration(home, path);
  const { status, stdout, stderr } = spawnSync(...unprivileged([MAIN, "serve", "-c", file]), {
    encoding: "utf8",
    env: home.environment(),
    timeout: 15_000,
  });
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^stsmapd: [^\n]+: [^\n]+\n$/);
  return { status, stderr };
}

describe("a file that cannot be used is one line and status 73 or 78", () => {
  it("a folder that is not there and cannot be made: 73", () => {
    using home = new Home();
    mkdirSync(join(home.path, "state"), { mode: 0o555 });
    const { status, stderr } = serve(home, join(home.path, "state/stsmapd/cache.sqlite"));
    expect(status).toBe(73);
    expect(stderr).toContain(`cannot make the folder ${home.path}/state/stsmapd (permission denied)`);
  });

  it("a file that may not be written: 73", () => {
    using home = new Home();
    const folder = join(home.path, "state");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    writeFileSync(join(folder, "cache.sqlite"), "", { mode: 0o444 });
    const { status, stderr } = serve(home, join(folder, "cache.sqlite"));
    expect(status).toBe(73);
    expect(stderr).toContain(`cannot write ${folder}/cache.sqlite (permission denied): let user id`);
  });

  it.runIf(isRoot)("a file that is another user's: 73 (needs root, to give it away)", () => {
    using home = new Home();
    const folder = join(home.path, "state");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const path = join(folder, "cache.sqlite");
    writeFileSync(path, "", { mode: 0o600 });
    chownSync(path, 1, 1);
    expect(serve(home, path)).toMatchObject({ status: 73, stderr: expect.stringContaining(path) });
  });

  it("a file of another program: 78, and the file untouched", () => {
    using home = new Home();
    const folder = join(home.path, "state");
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const path = join(folder, "cache.sqlite");
    spawnSync(process.execPath, [
      "--input-type=module",
      "-e",
      `import Database from "${import.meta.resolve("better-sqlite3")}"; new Database("${path}").exec("CREATE TABLE t (a)")`,
    ]);
    chmodSync(path, 0o666);
    const { size, mtimeMs } = statSync(path);
    expect(serve(home, path)).toMatchObject({
      status: 78,
      stderr: expect.stringContaining("another program"),
    });
    expect(statSync(path)).toMatchObject({ size, mtimeMs });
  });
});

/** The damaged files in the folder, without their logs. */
function aside(home: Home): string[] {
  return readdirSync(home.path).filter((name) => /\.damaged-[^.]*Z$/.test(name));
}

describe("a damaged file is set aside, said loudly, and the daemon starts", () => {
  it("garbage", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    const path = home.write("cache.sqlite", "this is not a database ".repeat(1000));
    await using daemon = await Daemon.start(
      ["-c", configuration(home, path, home.network(world))],
      home.environment(),
    );
    expect(await daemon.logged(SET_ASIDE)).toMatchObject({ level: "error", salvaged: 0 });
    expect(aside(home)).toHaveLength(1);
    expect(await ask(daemon, D)).toBe(secure(D));
  });

  it("cut short: what can be read is carried over and told", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.behave("*", "servfail");
    const path = join(home.path, "cache.sqlite");
    const now = Date.now();
    const store = openStore({ path, now: () => now });
    const domains = Array.from({ length: 2000 }, (_, n) => `d${n}.example`);
    const rowOf = (domain: string) =>
      entry(domain, { pin: pin({ fetchedAt: now, mx: [`mx.${domain}`] }), checkedAt: now, usedAt: now });
    await Promise.all(domains.map((domain) => store.put(rowOf(domain))));
    await store.close();
    truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);

    await using daemon = await Daemon.start(
      ["-c", configuration(home, path, home.network(world))],
      home.environment(),
    );
    const { salvaged } = await daemon.logged(SET_ASIDE);
    expect(aside(home)).toHaveLength(1);
    using client = await SocketmapClient.connect(daemon.addresses[0]!);
    // The daemon opens the new file within a second.
    await expect
      .poll(
        async () => {
          let told = 0;
          for (const domain of domains.slice(0, 50)) {
            const { text } = await client.query("postfix", domain);
            if (text === secure(domain)) told++;
          }
          return told;
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(0);
    expect(salvaged).toBeGreaterThan(0);
  });
});

/** A daemon that has learnt the policy of D. */
async function startAndAsk(home: Home, world: World, path: string): Promise<Daemon> {
  const daemon = await Daemon.start(
    ["-c", configuration(home, path, home.network(world))],
    home.environment(),
  );
  expect(await ask(daemon, D)).toBe(secure(D));
  return daemon;
}

describe("a file that takes the place of the cache while the daemon runs", () => {
  it("is set aside if it is garbage, and what is learnt from then on is kept", async () => {
    using home = new Home();
    await using world = await startWorld();
    for (const domain of [D, "next.example"]) world.publish(domain, { ttl: 86_400 });
    const path = join(home.path, "cache.sqlite");
    await using daemon = await startAndAsk(home, world, path);
    renameSync(home.write("garbage", "this is not a database ".repeat(1000)), path);
    await daemon.logged(SET_ASIDE);
    expect(aside(home)).toHaveLength(1);
    expect(await ask(daemon, "next.example")).toBe(secure("next.example"));
    const store = openStore({ path, now: Date.now, examine: false });
    expect(store.get("next.example")?.pin?.mode).toBe("enforce");
    await store.close();
  });

  it("is complained of once, not with every look, if it is another program's", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D, { ttl: 86_400 });
    const path = join(home.path, "cache.sqlite");
    await using daemon = await startAndAsk(home, world, path);
    new Database(join(home.path, "other")).exec("CREATE TABLE t (a)").close();
    renameSync(join(home.path, "other"), path);
    const complaints = () => daemon.log.filter(({ code }) => code === "incompatible").length;
    await expect.poll(complaints, { timeout: 10_000 }).toBe(1);
    // Two looks more; that nothing is logged is no event.
    await sleep(2_500);
    expect(complaints()).toBe(1);
    expect(await ask(daemon, D)).toBe(secure(D));
  });
});

async function pair(home: Home, world: World): Promise<AsyncDisposable & { one: Daemon; two: Daemon }> {
  const text = `${home.network(world)}freshness: { recheck_min: 1s }\n`;
  const file = configuration(home, join(home.path, "cache.sqlite"), text);
  const one = await Daemon.start(["-c", file], home.environment());
  const two = await Daemon.start(["-c", file], home.environment());
  return {
    one,
    two,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
    },
  };
}

describe("two daemons on one file", () => {
  /** Milliseconds within which each sees what the other did. */
  const SEEN = { timeout: 2_000, interval: 50 };

  it("tell what either learns", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D, { ttl: 86_400 });
    await using daemons = await pair(home, world);
    expect(await ask(daemons.one, D)).toBe(secure(D));
    world.dns.behave("*", "servfail");
    expect(await ask(daemons.two, D)).toBe(secure(D));
    expect(world.host.requests(D)).toBe(1);
  });

  it("tell what either has renewed, although it stands in the other's memory", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D, { ttl: 1 });
    await using daemons = await pair(home, world);
    expect(await ask(daemons.one, D)).toBe(secure(D));
    expect(await ask(daemons.two, D)).toBe(secure(D));
    world.publish(D, { id: "2", mx: ["new.example"], ttl: 86_400 });
    await expect.poll(() => ask(daemons.one, D), { timeout: 10_000 }).toBe(secure(D, "new.example"));
    // From here on only the file can tell.
    world.dns.behave("*", "servfail");
    world.host.cut(D);
    await expect.poll(() => ask(daemons.two, D), SEEN).toBe(secure(D, "new.example"));
    expect(world.host.requests(D)).toBe(2);
  });

  it("forget what is forgotten in the file", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D, { ttl: 86_400 });
    await using daemons = await pair(home, world);
    expect(await ask(daemons.one, D)).toBe(secure(D));
    expect(await ask(daemons.two, D)).toBe(secure(D));
    world.withdrawRecord(D);
    const store = openStore({ path: join(home.path, "cache.sqlite"), now: Date.now, examine: false });
    await store.delete(D);
    await store.close();
    for (const daemon of [daemons.one, daemons.two])
      await expect.poll(() => ask(daemon, D), SEEN).toBe("NOTFOUND");
  });
});
