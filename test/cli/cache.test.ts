/** `stsmapd cache`: by way of the running daemon, and on its file when it is down. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, closeSync, existsSync, openSync, statSync, writeSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { text as textOf } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { describe, expect, it, vi } from "vitest";
import { cacheRoutes } from "../../src/server/cache-routes.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { bareAdmin } from "../helpers/bare-cache-admin.ts";
import { RawClient, SocketmapClient } from "../helpers/postfix-client.ts";
import { Daemon, type Finished, Home, stsmapd } from "../helpers/stsmapd.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";
import { RunningAdmin } from "../helpers/running-admin.ts";
import { entry, failure, pin } from "../store/entries.ts";
import { unprivileged } from "../helpers/unprivileged.ts";

// Each command is a process of its own, and a small machine takes its time to start so many.
vi.setConfig({ testTimeout: 60_000 });

const D = "d.example";
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const BY_DAEMON = /^stsmapd: asking the daemon on .*admin\.sock\n/;
const BESIDE = /^stsmapd: reading the daemon's file .*cache\.sqlite\n$/;
const BY_FILE = /^stsmapd: no daemon answers: working on the file .*cache\.sqlite\n/;
const DAY = 86_400_000;

/** The folder of one daemon, its configuration, and its commands. */
class Place implements Disposable {
  readonly home = new Home();
  readonly config: string;

  constructor(world: World, more = "") {
    const listen = 'listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n';
    this.config = this.home.write("c.yaml", this.home.network(world) + listen + more);
  }

  get storePath(): string {
    return join(this.home.path, ".local/state/stsmapd/cache.sqlite");
  }

  get socket(): string {
    return join(this.home.path, ".local/state/stsmapd/admin.sock");
  }

  daemon(): Promise<Daemon> {
    return Daemon.start(["-c", this.config], this.home.environment());
  }

  cache(...args: readonly string[]): Promise<Finished> {
    return stsmapd(["cache", ...args, "-c", this.config], this.home.environment());
  }

  /** What `export` prints, a record a line. */
  async exported(): Promise<string> {
    return (await this.cache("export")).stdout;
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

async function ask(daemon: Daemon, domain: string): Promise<string> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  const { status, text } = await client.query("postfix", domain);
  return `${status} ${text}`.trim();
}

async function stop(daemon: Daemon): Promise<void> {
  daemon.signal("SIGTERM");
  await daemon.exited;
}

/** The file as mta-sts-daemon 1.1 makes it, with these rows of domain, ts in seconds, id and policy. */
function mtaStsDaemonCache(
  path: string,
  rows: readonly (readonly [string, number, string, unknown])[],
): string {
  const db = new Database(path);
  db.exec(`
    PRAGMA journal_mode=WAL;
    CREATE TABLE proactive_fetch_ts (last_fetch_ts integer, id integer primary key);
    CREATE TABLE sts_policy_cache (domain text, ts integer, pol_id text, pol_body text);
    CREATE UNIQUE INDEX sts_policy_domain ON sts_policy_cache (domain);
    CREATE INDEX sts_policy_domain_ts ON sts_policy_cache (domain, ts);`);
  const insert = db.prepare("INSERT INTO sts_policy_cache VALUES (?, ?, ?, ?)");
  for (const [domain, ts, id, body] of rows)
    insert.run(domain, Math.floor(ts), id, typeof body === "string" ? body : JSON.stringify(body));
  db.close();
  return path;
}

describe("cache", () => {
  it("does the same by the daemon and on the file", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    world.publish(D);
    const daemon = await place.daemon();
    await using _ = daemon;
    await ask(daemon, D);
    const results = [];
    for (const way of [BY_DAEMON, BY_FILE]) {
      if (way === BY_FILE) await stop(daemon);
      const list = await place.cache("list");
      const json = await place.cache("list", "--json", "--mode", "enforce", "--older-than", "0s");
      const none = await place.cache("list", "--json", "--failed");
      const show = await place.cache("show", D);
      expect(show.stderr).toMatch(way);
      for (const { stderr } of [list, json, none])
        expect(stderr).toMatch(way === BY_DAEMON ? BESIDE : BY_FILE);
      expect(list.stdout.split("\n")).toEqual([
        expect.stringMatching(/^DOMAIN +MODE +ID +FETCHED +EXPIRES +USED +LAST FAILURE$/),
        expect.stringMatching(/^d\.example +enforce +1 +\d{4}-\d\d-\d\d \d\d:\d\d +\S+ \S+ +\S+ +-$/),
        "",
      ]);
      expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, domain: D, pin: { mx: [`mx.${D}`] } });
      expect(none.stdout).toBe("");
      expect(show.stdout).toMatch(/^state +a policy in mode enforce is held until .*, in 6 d 23 h$/m);
      expect(show.stdout).toContain(`: OK ${secure(D)}\n    the policy is enforced\n`);
      results.push([list.stdout, json.stdout]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(existsSync(place.socket)).toBe(false);
  });

  it("lists what a rollout holds back, by the daemon and on the file", async () => {
    await using world = await startWorld();
    using place = new Place(world, "maps: { slow: { rollout: 34% } }\n");
    for (const domain of ["gmail.com", "example.net"]) world.publish(domain);
    const daemon = await place.daemon();
    await using _ = daemon;
    for (const domain of ["gmail.com", "example.net"]) await ask(daemon, domain);
    for (const way of [BY_DAEMON, BY_FILE]) {
      if (way === BY_FILE) await stop(daemon);
      const list = await place.cache("list", "--would-enforce");
      expect(list.stderr).toMatch(way);
      expect(list.stdout).toMatch(/^DOMAIN .*\ngmail\.com +enforce .*\n$/);
      expect((await place.cache("list", "--json", "--would-enforce", "--map", "postfix")).stdout).toBe("");
      const { answers } = JSON.parse((await place.cache("show", "gmail.com", "--json")).stdout);
      expect(answers).toContainEqual({ map: "slow", answer: "NOTFOUND", because: "would-enforce" });
    }
    const alone = await place.cache("list", "--map", "slow");
    expect(alone).toMatchObject({ status: 64, stderr: expect.stringContaining("without --would-enforce") });
  });

  it("refresh and forget change what the daemon answers, and what stands in the file", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    world.publish(D);
    await using daemon = await place.daemon();
    await ask(daemon, D);
    world.publish(D, { mx: ["other.example"] });
    expect(await place.cache("refresh", D)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^d\.example: fetched; id 1; held: mode enforce until /),
    });
    expect(await ask(daemon, D)).toBe(`OK ${secure(D, "other.example")}`);
    world.withdrawRecord(D);
    expect(await place.cache("refresh", D)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("held"),
    });
    expect(await place.cache("refresh", "--all")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("0 of 1 policies fetched\n"),
    });
    expect(await place.cache("forget", D)).toMatchObject({ status: 0 });
    expect(await ask(daemon, D)).toBe("NOTFOUND");
    expect(await place.cache("forget", "other.example")).toMatchObject({ status: 1 });
    expect(await place.cache("show", "other.example")).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("nothing is remembered"),
    });

    await stop(daemon);
    world.publish(D);
    expect(await place.cache("refresh", D), "the file alone will do").toMatchObject({ status: 0 });
    expect(await place.exported()).toContain(`"domain":"${D}"`);
    expect(await place.cache("forget", D, "--yes")).toMatchObject({ status: 0 });
    expect(await place.exported()).toBe("");
  });

  it("import takes an export elsewhere, unchanged, and says which lines it refuses", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    using elsewhere = new Place(world);
    for (const domain of [D, "e.example"]) world.publish(domain);
    const daemon = await place.daemon();
    await using _ = daemon;
    for (const domain of [D, "e.example"]) await ask(daemon, domain);
    const text = await place.exported();
    expect(text.split("\n")).toHaveLength(3);

    await using second = await elsewhere.daemon();
    const file = elsewhere.home.write("export", `${text}\n{"v":1}\nrubbish`);
    expect(await elsewhere.cache("import", file)).toMatchObject({
      status: 65,
      stdout: "line 4: refused: domain is no text\nline 5: refused: no JSON in UTF-8\n",
      stderr: expect.stringContaining("2 accepted, 0 kept as they were, 0 skipped, 2 refused\n"),
    });
    expect(await elsewhere.exported()).toBe(text);
    await stop(second);
    expect(await elsewhere.cache("import", file, "--json")).toMatchObject({
      status: 65,
      stdout: expect.stringContaining('{"line":1,"domain":"d.example","result":"accepted","reason":null}\n'),
    });
    expect(await elsewhere.exported()).toBe(text);
    expect(await elsewhere.cache("import", "/nonexistent")).toMatchObject({
      status: 66,
      stderr: expect.stringContaining("cannot read /nonexistent"),
    });
  });
});

async function fill(place: Place, rows: number): Promise<void> {
  const store = openStore({ path: place.storePath, now: Date.now });
  const fetchedAt = Date.now() - DAY;
  const times = { checkedAt: fetchedAt, checkAt: fetchedAt + 30 * DAY, usedAt: fetchedAt };
  const entries = Array.from({ length: rows }, (_, index) => {
    const held = pin({
      fetchedAt,
      mode: index % 3 === 0 ? "testing" : "enforce",
      renewAt: fetchedAt + 5 * DAY,
    });
    const failed = failure({ failedAt: fetchedAt, retryAt: fetchedAt + 30 * DAY });
    return entry(`d${index}.example`, { pin: held, ...times, ...(index % 100 === 0 && { failure: failed }) });
  });
  await Promise.all(entries.map((one) => store.put(one)));
  await store.close();
}

async function overSocket(place: Place, query: string): Promise<string> {
  const call = request({ socketPath: place.socket, path: `/cache?${query}`, agent: false }).end();
  const [response] = await once(call, "response");
  return textOf(response);
}

describe("list and export beside a running daemon", () => {
  it("read its file, and give what it gives over the socket, more than a page too", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    await fill(place, 1_200);
    await using _ = await place.daemon();
    const ways: [string, string, number][] = [
      ["export", "", 1_200],
      ["list --json --mode testing", "mode=testing", 400],
      ["list --json --older-than 2d", `older_than=${2 * DAY}`, 0],
      ["list --json --expires-within 7d --failed", `expires_within=${7 * DAY}&failed=true`, 12],
    ];
    for (const [command, query, rows] of ways) {
      const { stdout, stderr } = await place.cache(...command.split(" "));
      expect(stderr).toMatch(BESIDE);
      const isTheSame = stdout === (await overSocket(place, query));
      const found = stdout.match(/\n/g)?.length ?? 0;
      expect({ command, rows: found, isTheSame }).toEqual({ command, rows, isTheSame: true });
    }
  });

  it("see what was forgotten and imported a moment ago", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    await fill(place, 10);
    await using _ = await place.daemon();
    const line = `${(await place.exported()).split("\n")[0]}\n`;
    const { domain } = JSON.parse(line);
    await place.cache("forget", domain, "--yes");
    expect((await place.exported()).includes(`"${domain}"`)).toBe(false);
    await place.cache("import", place.home.write("line", line));
    expect((await place.exported()).includes(`"${domain}"`)).toBe(true);
  });

  it("ask the daemon where its file is another, of another version, or not for this user to read", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    await fill(place, 10);
    await using _ = await place.daemon();
    const rows = await overSocket(place, "");
    const elsewhere = openStore({ path: place.home.write("other.sqlite", ""), now: Date.now });
    const env = {
      STSMAPD_STORE_PATH: join(place.home.path, "other.sqlite"),
      STSMAPD_ADMIN_SOCKET: place.socket,
    };
    const other = await stsmapd(["cache", "export", "-c", place.config], place.home.environment(env));
    await elsewhere.close();
    const db = new Database(place.storePath);
    const version = Number(db.pragma("user_version", { simple: true }));
    db.pragma("user_version = 99");
    const newer = await place.cache("export");
    db.pragma(`user_version = ${version}`);
    db.close();
    const same = await place.cache("export");
    chmodSync(place.storePath, 0);
    const command = unprivileged([MAIN, "cache", "export", "-c", place.config]);
    const denied = await promisify(execFile)(...command, { env: place.home.environment() });
    expect(same).toMatchObject({ stdout: rows, stderr: expect.stringMatching(BESIDE) });
    for (const one of [other, newer, denied])
      expect(one).toMatchObject({ stdout: rows, stderr: expect.stringMatching(BY_DAEMON) });
  });

  it("ask a daemon that is too old to know of its file", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    const store = new MemoryStore();
    await store.put(entry(D));
    const routes = cacheRoutes(bareAdmin(store)).filter(({ path }) => path !== "/cache-file");
    await using old = await new RunningAdmin().start(routes);
    const env = place.home.environment({ STSMAPD_ADMIN_SOCKET: old.path });
    const { stdout, stderr } = await stsmapd(["cache", "export", "-c", place.config], env);
    expect(stderr).toMatch(BY_DAEMON);
    expect(JSON.parse(stdout)).toMatchObject({ domain: D });
  });

  it("end with a line where the file can be read no further", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    await fill(place, 1_200);
    const store = openStore({ path: place.storePath, now: Date.now, examine: false });
    await using daemon = await new RunningAdmin().start(cacheRoutes(bareAdmin(store)));
    const half = Math.floor(statSync(place.storePath).size / 2);
    const file = openSync(place.storePath, "r+");
    writeSync(file, Buffer.alloc(half, 0xff), 0, half, half);
    closeSync(file);
    const env = place.home.environment({ STSMAPD_ADMIN_SOCKET: daemon.path });
    const { status, stderr } = await stsmapd(["cache", "export", "-c", place.config], env);
    await store.close();
    expect(status).toBe(73);
    const [way, error, ...more] = stderr.split("\n");
    expect(`${way}\n`).toMatch(BESIDE);
    expect(error).toBe(`stsmapd: ${place.storePath}: database disk image is malformed`);
    expect(more).toEqual([""]);
  });
});

describe("the admin socket", () => {
  it("is the first daemon's where two share a file; the second goes on without, and both see what is forgotten", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    world.publish(D);
    await using first = await place.daemon();
    await using second = await place.daemon();
    expect(await second.logged("ready")).not.toHaveProperty("admin");
    expect(
      second.log.some(({ level, reason }) => level === "error" && String(reason).includes("admin.sock")),
    ).toBe(true);
    for (const daemon of [first, second]) expect(await ask(daemon, D)).toBe(`OK ${secure(D)}`);
    expect(await place.cache("forget", D)).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(BY_DAEMON),
    });
    world.withdrawRecord(D);
    expect(await ask(first, D)).toBe("NOTFOUND");
    // The other looks into the file once a second.
    await expect.poll(() => ask(second, D), { timeout: 20_000 }).toBe("NOTFOUND");
  });

  it("may be switched off, and is never among the lookup sockets", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    const env = place.home.environment({ STSMAPD_ADMIN_SOCKET: "none" });
    await using daemon = await Daemon.start(["-c", place.config], env);
    expect(existsSync(place.socket)).toBe(false);
    expect(await stsmapd(["cache", "list", "-c", place.config], env)).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^stsmapd: there is no admin socket: working on the file /),
    });
    using client = await RawClient.connect(daemon.addresses[0]!);
    client.socket.write("GET /cache HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.closed;
    expect(client.received).toBe("");
  });
});

describe("a cache that cannot be reached", () => {
  it("for want of a daemon and of a file: 66, and no file is made", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    for (const args of [
      ["list"],
      ["show", D],
      ["forget", D],
      ["refresh", D],
      ["export"],
      ["import", "/dev/null"],
    ]) {
      const { status, stdout, stderr } = await place.cache(...args);
      expect({ status, stdout }).toEqual({ status: 66, stdout: "" });
      expect(stderr).toContain(`there is no cache at ${place.storePath}`);
    }
    expect(existsSync(place.storePath)).toBe(false);
  });

  it("because the socket is not for this user: 77", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    await using _ = await place.daemon();
    chmodSync(place.socket, 0);
    const command = unprivileged([MAIN, "cache", "list"]);
    const env = place.home.environment();
    const failed = await promisify(execFile)(...command, { env }).catch((error) => error);
    expect(failed).toMatchObject({ code: 77, stdout: "" });
    expect(failed.stderr).toMatch(/^stsmapd: permission denied on .*admin\.sock: run this as root, or .*\n$/);
  });

  it.each([
    [["cache"]],
    [["cache", "frobnicate"]],
    [["cache", "show"]],
    [["cache", "show", "192.0.2.1"]],
    [["cache", "refresh"]],
    [["cache", "refresh", "--all", D]],
    [["cache", "list", "--mode", "off"]],
    [["cache", "list", "--older-than", "soon"]],
    [["cache", "import", "--from", "elsewhere", "/dev/null"]],
  ])("because the command line is wrong: 64, %j", async (args) => {
    const { status, stdout } = await stsmapd(args, { HOME: "/nonexistent" });
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
  });
});

/** Runs the command on a terminal of its own (script(1)), with this typed. */
async function typed(place: Place, answer: string): Promise<number | null> {
  const command = `'${process.execPath}' '${MAIN}' cache forget ${D} -c '${place.config}'`;
  const env = { ...place.home.environment(), PATH: process.env["PATH"], SHELL: "/bin/sh" };
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
    if (said.includes("[y/N]")) child.stdin.end(answer);
  });
  return new Promise((resolve) => child.once("close", resolve));
}

describe("forget on a terminal", () => {
  it.skipIf(!existsSync("/usr/bin/script"))("asks first (needs script(1))", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    world.publish(D);
    await using daemon = await place.daemon();
    await ask(daemon, D);
    expect(await typed(place, "\r")).toBe(1);
    expect(await place.exported()).toContain(D);
    expect(await typed(place, "y\r")).toBe(0);
    expect(await place.exported()).toBe("");
  });
});

describe("import from another daemon", () => {
  const now = Date.now();
  const seconds = now / 1000 - 100;
  const body = { mx: ["MX.a.example", "*.b.example"], version: "STSv1", mode: "enforce", max_age: 604_800 };

  it("mta-sts-daemon: policies go on where they were, and are fetched anew soon", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    const file = mtaStsDaemonCache(join(place.home.path, "mta-sts.db"), [
      ["a.example", seconds, "20240101", { ...body, "x-extra": "1" }],
      ["b.example", seconds, "not an id", { ...body, mode: "testing" }],
      ["c.example", seconds, "1", { version: "STSv1", mx: [], mode: "none", max_age: 86_400 }],
      ["d.example", seconds - 10 * 86_400, "1", body],
      ["e.example", seconds, "1", { ...body, mx: ["192.0.2.1"] }],
      ["f.example", seconds, "1", "[]"],
      ["g.example", seconds + 86_400, "1", body],
      ["h", seconds, "1", body],
    ]);
    await using daemon = await place.daemon();
    const result = await place.cache("import", "--from", "mta-sts-daemon", file);
    expect(result.stdout.split("\n").sort()).toEqual([
      "",
      expect.stringMatching(/^line 4: d\.example: skipped: its policy expired /),
      "line 5: e.example: refused: its policy is not valid: line 3: mx must be a host name, or *. and a domain name",
      "line 6: f.example: refused: pol_body is no policy",
      "line 7: refused: pin.fetched_at lies in the future",
      "line 8: h: refused: the name is no policy domain",
    ]);
    expect(result.status).toBe(65);
    expect(result.stderr).toContain("3 accepted, 0 kept as they were, 1 skipped, 4 refused\n");
    expect(await ask(daemon, "a.example")).toBe(
      "OK secure match=mx.a.example:.b.example servername=hostname",
    );
    const rows = (await place.exported())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.map(({ domain, pin: { id, mode } }) => `${domain} ${id} ${mode}`)).toEqual([
      "a.example 20240101 enforce",
      "b.example  testing",
      "c.example 1 none",
    ]);
    for (const row of rows) {
      expect(row.pin.expires_at).toBe(
        new Date(Math.floor(seconds) * 1000 + row.pin.max_age * 1000).toISOString(),
      );
      expect(row.used_at).toBe(new Date(Math.floor(seconds) * 1000).toISOString());
    }
    expect(await place.cache("import", "--from", "mta-sts-daemon", file), "once is enough").toMatchObject({
      stderr: expect.stringContaining("0 accepted, 3 kept as they were"),
    });
    const other = new Database(join(place.home.path, "other.db"));
    other.exec("CREATE TABLE t (x)");
    other.close();
    for (const wrong of [join(place.home.path, "other.db"), place.config, "/nonexistent"]) {
      expect(await place.cache("import", "--from", "mta-sts-daemon", wrong)).toMatchObject({
        status: 66,
        stderr: expect.stringContaining("want the sqlite cache of mta-sts-daemon"),
      });
    }
  });

  it("postfix-tlspol: an enforced policy holds for a day at least, and its first check fetches it anew", async () => {
    await using world = await startWorld();
    using place = new Place(world);
    const lines = [
      "d.example                    secure match=mx.d.example:.b.example servername=hostname",
      "",
      "dane.example                 dane-only",
      "odd.example                  secure",
      "192.0.2.1                    secure match=mx.example servername=hostname",
      "dump.example                      7  secure match=mx.example servername=hostname",
    ];
    const file = place.home.write("export", lines.join("\n"));
    const daemon = await place.daemon();
    await using _ = daemon;
    await stop(daemon);
    const result = await place.cache("import", "--from", "postfix-tlspol", file);
    expect(result.status).toBe(65);
    expect(result.stdout.split("\n").sort()).toEqual([
      "",
      "line 3: dane.example: skipped: answered by DANE, which is looked for anew",
      "line 4: odd.example: refused: no line of an export",
      "line 5: 192.0.2.1: refused: the name is no policy domain",
      "line 6: dump.example: refused: no line of an export",
    ]);
    const row = JSON.parse(await place.exported());
    expect(row).toMatchObject({
      domain: D,
      pin: { id: "", mode: "enforce", max_age: 86_400 },
      failure: null,
    });
    expect(Date.parse(row.pin.expires_at) - now).toBeGreaterThanOrEqual(DAY);
    expect(await place.cache("show", D)).toMatchObject({
      stdout: expect.stringContaining("id unknown, fetched"),
    });

    // What is due is looked into without being asked for.
    world.publish(D, { id: "7" });
    await using again = await place.daemon();
    await again.logged("resolved");
    expect(await ask(again, D)).toBe(`OK ${secure(D)}`);
    expect(JSON.parse(await place.exported())).toMatchObject({ pin: { id: "7", mx: [`mx.${D}`] } });
  });
});

it("a list of 20,000 rows lets lookups in between", async () => {
  await using world = await startWorld();
  using place = new Place(world);
  const fetchedAt = Date.now();
  const store = openStore({ path: place.storePath, now: Date.now });
  const held = pin({ fetchedAt });
  const times = { checkedAt: fetchedAt, checkAt: fetchedAt + DAY, usedAt: fetchedAt };
  const domains = Array.from({ length: 20_000 }, (_, index) => `d${index}.example`);
  await Promise.all(domains.map((domain) => store.put(entry(domain, { pin: held, ...times }))));
  await store.close();

  await using daemon = await place.daemon();
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  await client.query("postfix", "d7.example");
  const call = request({ socketPath: place.socket, path: "/cache", agent: false }).end();
  const [response] = await once(call, "response");
  // Nothing is made of the octets: the time that this process takes must not count.
  let octets = 0;
  response.on("data", (chunk: Buffer) => (octets += chunk.length));
  const ended = new AbortController();
  response.on("end", () => ended.abort());
  let lookups = 0;
  while (!ended.signal.aborted) {
    expect((await client.query("postfix", "d7.example")).status).toBe("OK");
    lookups++;
  }
  expect(octets).toBeGreaterThan(20_000 * 400);
  expect(lookups, "the list has 2,500 pages, and a lookup fits in between any two").toBeGreaterThan(20);
});
