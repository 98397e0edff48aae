/** What happens where the system lets no sockets share a port. */
import { createServer, Server } from "node:net";
import type { ListenOptions } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { listenOnTcp } from "../../src/server/tcp-sockets.ts";

const REFUSED = Object.assign(new Error("listen ENOPROTOOPT: protocol not available"), {
  code: "ENOPROTOOPT",
});

/** A server on a system that knows no SO_REUSEPORT, as libuv reports it. */
class OldServer extends Server {
  override listen(...args: readonly unknown[]): this {
    const [options] = args;
    if (!isShared(options)) return super.listen(Object(options));
    queueMicrotask(() => this.emit("error", REFUSED));
    return this;
  }
}

function isShared(options: unknown): options is ListenOptions {
  return typeof options === "object" && options !== null && Reflect.get(options, "reusePort") === true;
}

const isLinux = process.platform === "linux";
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const listen = async (create: () => Server, port = 0) => {
  const refusals: unknown[] = [];
  const made = () => {
    const server = create();
    servers.push(server);
    return server;
  };
  const options = { host: "127.0.0.1", port };
  return { port: await listenOnTcp(made, options, (error) => refusals.push(error)), refusals };
};

describe.skipIf(!isLinux)("a port (needs Linux, where sockets share one)", () => {
  it("that may not be shared has one socket, and it is said why", async () => {
    const { port, refusals } = await listen(() => new OldServer());
    expect(refusals).toEqual([REFUSED]);
    const listening = servers.filter((server) => server.listening);
    expect(listening.map((server) => server.address())).toEqual([
      { address: "127.0.0.1", family: "IPv4", port },
    ]);
  });

  it("that may be shared has several, and nothing is said", async () => {
    const { refusals } = await listen(() => createServer());
    expect(refusals).toEqual([]);
    expect(servers.filter((server) => server.listening).length).toBeGreaterThan(8);
  });

  it("that another process has is not listened on with one socket either", async () => {
    const { port } = await listen(() => createServer());
    await expect(listen(() => new OldServer(), port)).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
