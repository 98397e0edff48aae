/** Signals at inconvenient times, to a real process. SIGHUP as such is in reload.test.ts, SIGTERM as such in daemon.test.ts. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { Daemon, Home } from "./helpers/stsmapd.ts";
import { secure, startWorld, type World } from "./helpers/world.ts";

const D = "d.example";
const LISTEN = `dane: { enabled: false }\nlisten: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n`;
const DEFERRED = `overrides: [{ domain: o.example, action: defer }]\n`;

function write(home: Home, world: World, more = ""): string {
  return home.write("c.yaml", home.network(world) + LISTEN + more);
}

/** However busy the machine is, no question to DNS times out. */
function start(home: Home, world: World, more = ""): Promise<Daemon> {
  return Daemon.start(["-c", write(home, world, more)], home.environment({ STSMAPD_DNS_TIMEOUT: "1m" }));
}

async function ask(daemon: Daemon, domain: string): Promise<string> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  const { status, text } = await client.query("postfix", domain);
  return `${status} ${text}`;
}

/** A daemon that has begun to read its configuration, and waits for the text of it. */
async function startReading(home: Home): Promise<{ daemon: Daemon; file: FileHandle }> {
  const path = join(home.path, "c.yaml");
  execFileSync("mkfifo", [path]);
  const daemon = await Daemon.spawn(["-c", path], home.environment());
  return { daemon, file: await open(path, "w") };
}

describe("SIGHUP", () => {
  it("a hundred times in a row, under load, costs no answer and leaves nothing open", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using daemon = await start(home, world);
    expect(await ask(daemon, D)).toBe(`OK ${secure(D)}`);
    const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
    const before = descriptors();

    const replies = new Set<string>();
    const asking = new AbortController();
    const load = async () => {
      using client = await SocketmapClient.connect(daemon.addresses[0]!);
      while (!asking.signal.aborted)
        for (const domain of [D, "o.example"]) {
          const { status, text } = await client.query("postfix", domain);
          replies.add(`${status} ${text}`);
        }
    };
    const clients = Promise.all([load(), load(), load(), load()]);
    for (let n = 0; n < 100; n++) {
      write(home, world, n % 2 === 0 ? DEFERRED : "");
      daemon.signal("SIGHUP");
      await ask(daemon, D);
    }
    write(home, world, DEFERRED);
    daemon.signal("SIGHUP");
    await expect.poll(() => ask(daemon, "o.example"), { timeout: 10_000 }).toMatch(/^TEMP deferred/);
    asking.abort();
    await clients;

    const known = new Set([`OK ${secure(D)}`, "NOTFOUND ", "TEMP deferred by the override for o.example"]);
    expect(known).toEqual(replies);
    expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
    await expect.poll(descriptors, { timeout: 10_000 }).toBeLessThanOrEqual(before);
  }, 60_000);

  it.each<[what: string, replace: (file: string) => void]>([
    ["gone", () => {}],
    ["a folder", (file) => mkdirSync(file)],
    ["no YAML", (file) => writeFileSync(file, "{{{\0")],
  ])("while the file is %s keeps the configuration in force", async (_, replace) => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world, DEFERRED);
    const file = join(home.path, "c.yaml");
    rmSync(file);
    replace(file);
    daemon.signal("SIGHUP");
    const said = await daemon.logged("configuration is wrong; the one in force stays");
    expect(said).toMatchObject({ level: "error", problems: expect.any(Array) });
    expect(await ask(daemon, "o.example")).toMatch(/^TEMP deferred/);
  });

  it("while it stops changes nothing", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 1_000 });
    await using daemon = await start(home, world);
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon, D);
    await asked;
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    daemon.signal("SIGHUP");
    expect(await reply).toBe(`OK ${secure(D)}`);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });
});

describe("a stop signal", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("%s while it reads its configuration ends it", async (name) => {
    using home = new Home();
    const { daemon, file } = await startReading(home);
    daemon.signal(name);
    await file.writeFile(LISTEN).catch(() => {});
    await file.close();
    // It may have read the file before the signal is delivered: then it starts, and stops.
    expect(await daemon.exited).toSatisfy(hasStopped);
  });

  it("at any time of the start ends it in good order, and its socket is gone", async () => {
    using home = new Home();
    await using world = await startWorld();
    const socket = join(home.path, "socket");
    const file = home.write(
      "c.yaml",
      `${home.network(world)}listen: [{ protocol: socketmap, address: "unix:${socket}" }]\n`,
    );
    // As long as a start may take, in steps.
    for (let delay = 0; delay <= 600; delay += 50) {
      await using daemon = await Daemon.spawn(["-c", file], home.environment());
      await sleep(delay);
      daemon.signal("SIGTERM");
      expect(await daemon.exited).toSatisfy(hasStopped);
      expect(existsSync(socket)).toBe(false);
      expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
    }
  }, 60_000);

  it("lets a lookup that waits for the cache file have its true answer", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    const path = join(home.path, "cache.sqlite");
    await using daemon = await start(home, world, `store: { path: ${path} }\n`);
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    const fetched = world.dns.nextQuery(`mta-sts.${D}`);
    const reply = ask(daemon, D);
    await fetched;
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    daemon.signal("SIGUSR1");
    expect(await daemon.logged("state")).toMatchObject({
      state: "stopping",
      counters: { stsmapd_lookups_total: 0 },
    });
    other.exec("ROLLBACK");
    other.close();
    expect(await reply).toBe(`OK ${secure(D)}`);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    world.dns.behave("*", "servfail");
    await using next = await start(home, world, `store: { path: ${path} }\n`);
    expect(await ask(next, D), "it was written").toBe(`OK ${secure(D)}`);
  });

  it.each([
    ["SIGINT", "SIGINT"],
    ["SIGTERM", "SIGINT"],
    ["SIGINT", "SIGTERM"],
  ] as const)("%s makes it wait for a lookup, and %s after it ends that", async (first, second) => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.behave("*", "drop");
    await using daemon = await start(home, world, "lookup: { stop_timeout: 10m }\n");
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon, D).catch((error: unknown) => error);
    await asked;
    daemon.signal(first);
    expect(await daemon.logged("stopping")).toMatchObject({ signal: first });
    daemon.signal(second);
    expect(await daemon.exited).toEqual({ code: 70, signal: null });
    expect(await reply, "no answer").toBeInstanceOf(Error);
  });
});

describe("SIGUSR1", () => {
  it("during the start has the state told once there is one", async () => {
    using home = new Home();
    await using world = await startWorld();
    const { daemon, file } = await startReading(home);
    await using running = daemon;
    running.signal("SIGUSR1");
    await file.writeFile(home.network(world) + LISTEN);
    await file.close();
    expect(await running.logged("state")).toMatchObject({ state: "ok", ready: true });
  });

  it("while it stops tells so, and a hundred of them disturb nothing", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 1_000 });
    await using daemon = await start(home, world);
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon, D);
    await asked;
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    for (let n = 0; n < 100; n++) daemon.signal("SIGUSR1");
    expect(await daemon.logged("state")).toMatchObject({ state: "stopping", ready: false });
    expect(await reply).toBe(`OK ${secure(D)}`);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });
});

/** By itself, or, before it had anything to put in order, by the signal. */
function hasStopped(ended: unknown): boolean {
  const { code, signal }: { code?: unknown; signal?: unknown } = Object(ended);
  return code === 0 || signal === "SIGTERM" || signal === "SIGINT";
}
