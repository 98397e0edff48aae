import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { readIntoOneBuffer } from "../../src/server/one-buffer.ts";
import { RawClient } from "../helpers/postfix-client.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

interface Read {
  readonly text: string;
  readonly memory: ArrayBufferLike;
}

/**
 * A server that keeps what it reads and answers nothing, on TCP or the unix socket `path`. `seenAs` is what it takes a socket
 * for.
 */
async function listen(seenAs = (socket: Socket) => socket, readInto = readIntoOneBuffer, path?: string) {
  const reads: Read[] = [];
  const sockets: Socket[] = [];
  const onRead = (octets: Buffer) => reads.push({ text: octets.toString(), memory: octets.buffer });
  const server = createServer({ allowHalfOpen: true }, (accepted) => {
    sockets.push(accepted);
    readInto(seenAs(accepted), onRead);
  });
  servers.push(server);
  server.listen(path ?? { host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const bound = server.address();
  if (bound === null) throw new TypeError("a server that does not listen");
  const address = typeof bound === "string" ? `unix:${bound}` : `127.0.0.1:${bound.port}`;
  return { address, reads, sockets };
}

it("all clients are read into the same memory, on TCP and on unix sockets", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stsmapd-buffer-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const tcp = await listen();
  const unix = await listen(undefined, undefined, join(folder, "socket"));
  for (const [n, { address, reads }] of [tcp, unix, tcp].entries()) {
    const text = `from client ${n}`;
    using client = await RawClient.connect(address);
    client.write(text);
    await expect.poll(() => reads.at(-1)?.text).toBe(text);
  }
  const reads = [...tcp.reads, ...unix.reads];
  expect(reads).toHaveLength(3);
  expect(new Set(reads.map(({ memory }) => memory)).size, "this Node has handles").toBe(1);
});

it("a client that ends its side still gets an answer, then both sides close", async () => {
  const { address, reads, sockets } = await listen();
  using client = await RawClient.connect(address);
  client.write("question");
  await expect.poll(() => reads.length).toBe(1);
  const ended = once(sockets[0]!, "end");
  client.socket.end();
  await ended;
  sockets[0]?.end("answer");
  await client.closed;
  expect(client.received).toBe("answer");
});

it("a socket can be paused", async () => {
  const { address, reads, sockets } = await listen();
  using client = await RawClient.connect(address);
  client.write("a");
  await expect.poll(() => reads.length).toBe(1);
  sockets[0]?.pause();
  client.write("b");
  // Whoever writes after it is read before it.
  using other = await RawClient.connect(address);
  other.write("c");
  await expect.poll(() => reads.map(({ text }) => text)).toEqual(["a", "c"]);
  sockets[0]?.resume();
  await expect.poll(() => reads.map(({ text }) => text)).toEqual(["a", "c", "b"]);
});

it.each([
  ["hides its handles", withoutHandle, async () => readIntoOneBuffer],
  ["keeps its option elsewhere", (socket: Socket) => socket, withoutMembers],
])("a Node that %s reads as ever", async (_, seenAs, load) => {
  const { address, reads, sockets } = await listen(seenAs, await load());
  for (const text of ["question", "another"]) {
    using client = await RawClient.connect(address);
    client.write(text);
    await expect.poll(() => reads.at(-1)?.text).toBe(text);
    sockets.at(-1)?.end("answer");
    await client.closed;
    expect(client.received).toBe("answer");
  }
  expect(new Set(reads.map(({ memory }) => memory)).size, "memory of its own for each").toBe(2);
});

/** Hides it from us, who ask first, and not from Node. */
function withoutHandle(socket: Socket): Socket {
  let asked = 0;
  return new Proxy(socket, {
    get: (target, name) => (name === "_handle" && asked++ === 0 ? undefined : Reflect.get(target, name)),
  });
}

/** What it is where sockets have no members that could be looked for. */
async function withoutMembers(): Promise<typeof readIntoOneBuffer> {
  vi.resetModules();
  using symbols = vi.spyOn(Object, "getOwnPropertySymbols").mockReturnValue([]);
  const other = await import("../../src/server/one-buffer.ts");
  symbols.mockRestore();
  return other.readIntoOneBuffer;
}
