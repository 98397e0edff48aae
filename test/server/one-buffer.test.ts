import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { afterEach, expect, it, vi } from "vitest";
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

/** A server that keeps what it reads and answers nothing. `seenAs` is what it takes a socket for. */
async function listen(seenAs = (socket: Socket) => socket, readInto = readIntoOneBuffer) {
  const reads: Read[] = [];
  const sockets: Socket[] = [];
  const onRead = (octets: Buffer) => reads.push({ text: octets.toString(), memory: octets.buffer });
  const server = createServer({ allowHalfOpen: true }, (accepted) => {
    sockets.push(accepted);
    readInto(seenAs(accepted), onRead);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError("a TCP server without a port");
  return { address: `127.0.0.1:${address.port}`, reads, sockets };
}

it("all clients are read into the same memory", async () => {
  const { address, reads, sockets } = await listen();
  for (const text of ["one", "other"]) {
    using client = await RawClient.connect(address);
    client.write(text);
    await expect.poll(() => reads.at(-1)?.text).toBe(text);
  }
  expect(sockets).toHaveLength(2);
  expect(reads[0]?.memory, "this Node has handles").toBe(reads[1]?.memory);
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
