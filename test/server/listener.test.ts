import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { LookupService } from "../../src/lookup/lookup-service.ts";
import { NOT_FOUND, type Reply } from "../../src/policy/reply.ts";
import {
  listen,
  type ListenOptions,
  type LookupServer,
  type ServerEvents,
} from "../../src/server/listener.ts";
import { encodeNetstring } from "../../src/server/netstring.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { RawClient, SocketmapClient, takeNetstring } from "../helpers/postfix-client.ts";
import { unprivileged } from "../helpers/unprivileged.ts";

const NOBODY: LookupService = { lookup: () => NOT_FOUND };
const NEVER = new AbortController().signal;
const isRoot = process.getuid!() === 0;

const servers: LookupServer[] = [];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "stsmapd-"));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.drain(AbortSignal.abort());
  await rm(folder, { recursive: true, force: true });
});

async function start(
  options: ListenOptions,
  service: LookupService = NOBODY,
  onFullChange: ServerEvents["onFullChange"] = () => {},
): Promise<LookupServer> {
  const server = await listen(options, socketmap(service), {
    onViolation() {},
    onAcceptError(error) {
      throw error;
    },
    onFullChange,
  });
  servers.push(server);
  return server;
}

function socketPath(): string {
  return join(folder, "socket");
}

function socketAddress(): string {
  return `unix:${socketPath()}`;
}

async function answers(address: string): Promise<boolean> {
  using client = await SocketmapClient.connect(address);
  return (await client.query("postfix", "example.com")).status === "NOTFOUND";
}

/** Leaves a socket file whose process is gone. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  const child = spawn(process.execPath, ["-e", script, path]);
  await once(child, "exit");
}

describe("a TCP server", () => {
  it.each(["127.0.0.1:0", "[::1]:0", "localhost:0"])("on %s says which port it got", async (address) => {
    const server = await start({ address });
    expect(server.address).toMatch(/:[1-9]\d*$/);
    expect(server.address.replace(/:\d+$/, ":0")).toBe(address);
    expect(await answers(server.address)).toBe(true);
  });

  it("on a port in use says so", async () => {
    const { address } = await start({ address: "127.0.0.1:0" });
    await expect(start({ address })).rejects.toMatchObject({
      name: "ListenError",
      code: "in-use",
      message: `cannot listen on ${address}: another process listens there; stop it, choose another address, or, if it is systemd for a socket unit, write systemd:NAME`,
    });
  });

  const isLinux = process.platform === "linux";
  it.skipIf(!isLinux)(
    "has several sockets, and lets go of all of them (needs Linux's SO_REUSEPORT)",
    async () => {
      const server = await start({ address: "127.0.0.1:0" });
      const port = Number(server.address.split(":").at(-1));
      // Listening is state 0A; addresses and ports are hexadecimal.
      const where = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
      const sockets = async () => (await readFile("/proc/net/tcp", "latin1")).split(where).length - 1;
      expect(await sockets()).toBeGreaterThan(8);
      await server.drain(NEVER);
      expect(await sockets()).toBe(0);
    },
  );

  it("on :: leaves IPv4 to others", async () => {
    const { address } = await start({ address: "[::]:0" });
    const port = address.slice("[::]:".length);
    await expect(start({ address: `0.0.0.0:${port}` })).resolves.toBeDefined();
  });

  it.each([
    ["192.0.2.1:0", "not-available"],
    ["nowhere.invalid:0", "bad-address"],
    ["8461", "bad-address"],
  ])("on %s does not start", async (address, code) => {
    await expect(start({ address })).rejects.toMatchObject({ name: "ListenError", code });
  });
});

describe("a unix socket", () => {
  it("has the mode asked for, whatever the umask, and leaves nothing else behind", async () => {
    const umask = process.umask(0o077);
    try {
      const server = await start({ address: socketAddress(), mode: 0o666 });
      expect(server.address).toBe(socketAddress());
      expect((await lstat(socketPath())).mode & 0o777).toBe(0o666);
      expect(await readdir(folder)).toEqual(["socket"]);
      expect(await answers(socketAddress())).toBe(true);
    } finally {
      process.umask(umask);
    }
  });

  it("is for its user and group unless told otherwise", async () => {
    await start({ address: socketAddress() });
    expect((await lstat(socketPath())).mode & 0o777).toBe(0o660);
  });

  it("is given to a user and a group, by name or number", async () => {
    const [owner, group] = isRoot ? ["daemon", "2"] : [String(process.getuid!()), String(process.getgid!())];
    await start({ address: socketAddress(), owner, group });
    const { uid, gid } = await lstat(socketPath());
    expect([uid, gid]).toEqual(isRoot ? [1, 2] : [process.getuid!(), process.getgid!()]);
  });

  it.each([{ owner: "nobody-of-that-name" }, { group: "nobody-of-that-name" }])(
    "is not given to %o",
    async (account) => {
      await expect(start({ address: socketAddress(), ...account })).rejects.toMatchObject({
        code: "unknown-account",
      });
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it("replaces one that its process left behind", async () => {
    await leaveStaleSocket(socketPath());
    expect((await lstat(socketPath())).isSocket()).toBe(true);
    await start({ address: socketAddress() });
    expect(await answers(socketAddress())).toBe(true);
  });

  it("does not replace one that somebody listens on", async () => {
    await start({ address: socketAddress() });
    await expect(start({ address: socketAddress() })).rejects.toMatchObject({
      name: "ListenError",
      code: "in-use",
    });
    expect(await answers(socketAddress())).toBe(true);
    expect(await readdir(folder)).toEqual(["socket"]);
  });

  it("does not replace what is no socket", async () => {
    await writeFile(socketPath(), "precious");
    await expect(start({ address: socketAddress() })).rejects.toMatchObject({ code: "not-a-socket" });
    await rm(socketPath());
    await symlink("/nowhere", socketPath());
    await expect(start({ address: socketAddress() })).rejects.toMatchObject({ code: "not-a-socket" });
    expect(await readdir(folder)).toEqual(["socket"]);
  });

  it("needs its folder", async () => {
    await expect(start({ address: `unix:${folder}/none/socket` })).rejects.toMatchObject({
      code: "no-folder",
      message: `cannot listen on unix:${folder}/none/socket: its folder does not exist; make it`,
    });
  });

  it("needs the right to write to its folder", async () => {
    const locked = join(folder, "locked");
    await mkdir(locked);
    await chmod(locked, 0o500);
    const module = new URL("../../src/server/unix-socket.ts", import.meta.url).href;
    const script = `
      import { createServer } from "node:net";
      import { listenOnUnixSocket } from ${JSON.stringify(module)};
      const options = { mode: 0o660, owner: undefined, group: undefined };
      await listenOnUnixSocket(createServer(), ${JSON.stringify(join(locked, "socket"))}, options, 1)
        .catch(({ code }) => console.log(code));`;
    const { stdout } = spawnSync(...unprivileged(["--input-type=module", "-e", script]), {
      encoding: "utf8",
    });
    expect(stdout).toBe("EACCES\n");
  });

  it("with a path too long for the system does not start", async () => {
    const long = join(folder, "x".repeat(98 - folder.length - 1));
    await mkdir(long);
    await expect(start({ address: `unix:${long}/socket` })).rejects.toMatchObject({ code: "bad-address" });
    expect(await readdir(long)).toEqual([]);
  });

  it("is removed at the end", async () => {
    const server = await start({ address: socketAddress() });
    await server.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it("is left alone at the end when a successor has taken its place", async () => {
    const server = await start({ address: socketAddress() });
    await rm(socketPath());
    await start({ address: socketAddress() });
    await server.close();
    expect(await answers(socketAddress())).toBe(true);
  });
});

/** A server in a process of its own; says where it listens, then whether it is full. */
const SERVER = `
  import { listen } from ${JSON.stringify(new URL("../../src/server/listener.ts", import.meta.url))};
  import { socketmap } from ${JSON.stringify(new URL("../../src/server/socketmap.ts", import.meta.url))};
  const reply = { status: "NOTFOUND" };
  const onFullChange = (isFull) => console.log(isFull ? "full" : "room");
  const events = { onViolation() {}, onAcceptError() {}, onFullChange };
  const where = process.argv[1] === undefined ? { fd: 3, name: "test" } : { address: process.argv[1] };
  const server = await listen(where, socketmap({ lookup: () => reply }), events);
  console.log(server.address);
`;

describe("an inherited descriptor", () => {
  it("is listened on", async () => {
    const parent = createServer().listen(0, "127.0.0.1");
    await once(parent, "listening");
    const bound = parent.address();
    if (bound === null || typeof bound === "string") throw new TypeError("no port");
    const descriptor: unknown = Reflect.get(Reflect.get(parent, "_handle"), "fd");
    const child = spawn(process.execPath, ["--input-type=module", "-e", SERVER], {
      stdio: ["ignore", "pipe", "ignore", Number(descriptor)],
      timeout: 15_000,
    });
    try {
      const [line] = await once(child.stdout!, "data");
      expect(String(line)).toBe(`127.0.0.1:${bound.port}\n`);
      parent.close();
      expect(await answers(`127.0.0.1:${bound.port}`)).toBe(true);
    } finally {
      child.kill();
    }
  });

  it("that is no listening socket is refused", async () => {
    await expect(start({ fd: 999, name: "test" })).rejects.toMatchObject({
      name: "ListenError",
      code: "bad-descriptor",
      message: expect.stringContaining("cannot listen on systemd:test: "),
    });
  });
});

describe("more clients than descriptors allow", () => {
  it("are turned away, which is told of; the others are answered, and new ones taken again", async () => {
    const limited = ["-c", 'ulimit -n 60; exec "$0" "$@"', process.execPath];
    const child = spawn("sh", [...limited, "--input-type=module", "-e", SERVER, "127.0.0.1:0"], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 15_000,
    });
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const nextLine = async () => String((await lines.next()).value);
      const where = await nextLine();
      using first = await SocketmapClient.connect(where);
      expect(await first.query("postfix", "a")).toEqual({ status: "NOTFOUND", text: "" });
      const crowd = await Promise.all(Array.from({ length: 80 }, () => RawClient.connect(where)));
      for (const client of crowd) client.write(encodeNetstring("postfix b"));
      expect(await nextLine()).toBe("full");
      expect(await first.query("postfix", "c")).toEqual({ status: "NOTFOUND", text: "" });
      for (const client of crowd) client[Symbol.dispose]();
      expect(await nextLine()).toBe("room");
      for (let free = false; !free;) free = await answers(where).catch(() => false);
    } finally {
      child.kill();
    }
  });

  it("are told of once, and again only after there was room", async () => {
    const told: boolean[] = [];
    const address = "127.0.0.1:0";
    const server = await start({ address, maxConnections: 2 }, NOBODY, (isFull) => told.push(isFull));
    const connect = () => SocketmapClient.connect(server.address);
    using one = await connect();
    const two = await connect();
    while (server.connections < 2) await setImmediate();
    for (let i = 0; i < 3; i++) {
      using turnedAway = await connect();
      await turnedAway.raw.closed;
    }
    expect(told).toEqual([true]);
    two[Symbol.dispose]();
    while (server.connections > 1) await setImmediate();
    expect(told).toEqual([true, false]);
    expect((await one.query("postfix", "a")).status).toBe("NOTFOUND");
  });
});

describe("drain", () => {
  it("ends idle clients at once, the others after their replies, and resolves when all are gone", async () => {
    const asked: string[] = [];
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const service: LookupService = {
      lookup({ key }) {
        asked.push(key);
        return promise;
      },
    };
    const server = await start({ address: "127.0.0.1:0" }, service);
    using idle = await RawClient.connect(server.address);
    using busy = await RawClient.connect(server.address);
    busy.write(encodeNetstring("postfix example.com"));
    while (server.connections < 2 || asked.length === 0) await setImmediate();
    let isDrained = false;
    const drained = server.drain(NEVER).then(() => (isDrained = true));
    await idle.closed;
    await expect(RawClient.connect(server.address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect([busy.ended, isDrained]).toEqual([false, false]);
    resolve(NOT_FOUND);
    await drained;
    expect(server.connections).toBe(0);
    expect(await takeNetstring(busy)).toBe("NOTFOUND ");
    await busy.closed;
  });

  it("goes on where a client that awaits answers is gone", async () => {
    const waiting = new Map<string, (reply: Reply) => void>();
    const service: LookupService = {
      lookup: ({ key }) => new Promise((resolve) => waiting.set(key, resolve)),
    };
    const server = await start({ address: "127.0.0.1:0" }, service);
    using lost = await RawClient.connect(server.address);
    using other = await RawClient.connect(server.address);
    lost.write(["a", "b", "c"].map((key) => encodeNetstring(`postfix ${key}`)).join(""));
    other.write(encodeNetstring("postfix d"));
    while (waiting.size < 4) await setImmediate();
    const drained = server.drain(NEVER);
    lost.socket.resetAndDestroy();
    await lost.closed;
    for (const key of ["a", "b", "c"]) {
      waiting.get(key)?.(NOT_FOUND);
      await setImmediate();
    }
    while (server.connections > 1) await setImmediate();
    waiting.get("d")?.(NOT_FOUND);
    await expect(drained).resolves.toBeUndefined();
    expect(await takeNetstring(other)).toBe("NOTFOUND ");
  });

  it("cuts what is left when its signal fires, and may be called twice", async () => {
    const stop = new AbortController();
    const asked: string[] = [];
    const service: LookupService = {
      lookup({ key }) {
        asked.push(key);
        return new Promise(() => {});
      },
    };
    const server = await start({ address: "127.0.0.1:0" }, service);
    using client = await RawClient.connect(server.address);
    client.write(encodeNetstring("postfix example.com"));
    while (asked.length === 0) await setImmediate();
    const drained = Promise.all([server.drain(NEVER), server.drain(stop.signal)]);
    stop.abort();
    await drained;
    await client.closed;
    await server.drain(NEVER);
    await server.close();
    expect(client.received).toBe("");
  });
});
