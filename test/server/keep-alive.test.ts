/** What the kernel is told of clients, as it shows it itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { ListenOptions, Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { keepClientsAlive } from "../../src/server/keep-alive.ts";
import { RawClient } from "../helpers/postfix-client.ts";

const isLinux = process.platform === "linux";
const LOOPBACK = { host: "127.0.0.1", port: 0 };

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server, where: ListenOptions): Promise<Server> {
  servers.push(server);
  server.listen(where);
  await once(server, "listening");
  return server;
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("no port");
  return `127.0.0.1:${bound.port}`;
}

describe.skipIf(!isLinux)("a client of which nothing is heard (needs Linux's /proc/net/tcp)", () => {
  it("is asked after a minute, by what the listening socket has", async () => {
    const server = createServer();
    keepClientsAlive(server, false);
    await listening(server, LOOPBACK);
    expect(server.listenerCount("connection"), "nothing is done for each").toBe(0);
    using client = await RawClient.connect(addressOf(server));
    expect(await secondsToKeepAlive(client)).toSatisfy(isAboutAMinute);
  });

  it("is asked where Node has no way to set that on the listening socket", async () => {
    const server = createServer();
    server.once("listening", () => {
      const handle: unknown = Reflect.get(server, "_handle");
      if (typeof handle === "object" && handle !== null) Reflect.set(handle, "setKeepAlive", undefined);
    });
    keepClientsAlive(server, false);
    await listening(server, LOOPBACK);
    using client = await RawClient.connect(addressOf(server));
    expect(await secondsToKeepAlive(client)).toSatisfy(isAboutAMinute);
  });

  it("is asked on an inherited socket, also if it was queued before the daemon started", async () => {
    const parent = await listening(createServer(), LOOPBACK);
    const address = addressOf(parent);
    const descriptor: unknown = Reflect.get(Reflect.get(parent, "_handle"), "fd");
    const child = spawn(process.execPath, ["--input-type=module", "-e", INHERITING], {
      stdio: ["pipe", "pipe", "inherit", Number(descriptor)],
      timeout: 15_000,
    });
    try {
      parent.close();
      using early = await RawClient.connect(address);
      child.stdin!.write("\n");
      const [line] = await once(child.stdout!, "data");
      expect(String(line)).toBe(`${address}\n`);
      using late = await RawClient.connect(address);
      expect(await secondsToKeepAlive(early)).toSatisfy(isAboutAMinute);
      expect(await secondsToKeepAlive(late)).toSatisfy(isAboutAMinute);
    } finally {
      child.kill();
    }
  });
});

it("does nothing for a unix socket, from which nobody vanishes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "stsmapd-"));
  try {
    const server = createServer();
    keepClientsAlive(server, true);
    await listening(server, { path: join(folder, "s") });
    expect(server.listenerCount("connection")).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Listens on descriptor 3 when it is told to. */
const INHERITING = `
  import { listen } from ${JSON.stringify(new URL("../../src/server/listener.ts", import.meta.url))};
  import { socketmap } from ${JSON.stringify(new URL("../../src/server/socketmap.ts", import.meta.url))};
  process.stdin.once("data", async () => {
    const events = { onViolation() {}, onAcceptError() {}, onFullChange() {} };
    const nobody = socketmap({ lookup: () => ({ status: "NOTFOUND" }) });
    const server = await listen({ fd: 3, name: "test" }, nobody, events);
    console.log(server.address);
  });
`;

/** Once all is acknowledged, the timer of the server's end is 2, keep-alive, in hundredths of a second. */
async function secondsToKeepAlive({ socket }: RawClient): Promise<number> {
  return vi.waitFor(() => {
    const [kind, when = ""] = timerOfServer(socket).split(":");
    expect(kind).toBe("02");
    return Number.parseInt(when, 16) / 100;
  });
}

/** Less than was set, as some may have passed. */
function isAboutAMinute(seconds: number): boolean {
  return seconds > 30 && seconds <= 60;
}

/** `tr:tm->when` of /proc/net/tcp for the other end of a client's socket. */
function timerOfServer({ localPort, remotePort }: Socket): string {
  const row = readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find(([, local, remote]) => local?.endsWith(hex(remotePort)) && remote?.endsWith(hex(localPort)));
  return row?.[5] ?? "";
}

function hex(port: number | undefined): string {
  return `:${(port ?? 0).toString(16).padStart(4, "0").toUpperCase()}`;
}
