import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { afterEach, expect, it } from "vitest";
import { Stop } from "../../src/lookup/deadline.ts";
import { OverdueLookups } from "../../src/lookup/overdue-lookups.ts";
import type { LookupService } from "../../src/lookup/lookup-service.ts";
import { Question } from "../../src/lookup/question.ts";
import { selfTest, type TestedListener } from "../../src/parts/self-test.ts";
import { NOT_FOUND, type Reply } from "../../src/policy/reply.ts";
import { listen, type LookupServer } from "../../src/server/listener.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { tcpTable } from "../../src/server/tcp-table.ts";
import { HeldSocket } from "../helpers/held-socket.ts";
import { SocketmapClient } from "../helpers/postfix-client.ts";

const service: LookupService = { lookup: () => NOT_FOUND };
const events = { onViolation() {}, onAcceptError() {}, onFullChange() {} };
const ONE = new Question("postfix", "one.example");
const DEADLINE = 20_000;
const LONG = 10_000;
const SHORT = 200;

const servers: (LookupServer | Server)[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

async function running(
  protocol: "socketmap" | "tcp_table",
  { answers = service, maxConnections }: { answers?: LookupService; maxConnections?: number } = {},
): Promise<TestedListener & { readonly server: LookupServer }> {
  const spoken = protocol === "socketmap" ? socketmap(answers) : tcpTable(answers, "postfix");
  const server = await listen({ address: "127.0.0.1:0", maxConnections }, spoken, events);
  servers.push(server);
  return { listener: { protocol }, server };
}

function tested(target: TestedListener["server"]["target"], isInherited = false): TestedListener {
  return {
    listener: { protocol: "socketmap" },
    server: { address: "here", target, isInherited, isFull: false },
  };
}

function test(listeners: readonly TestedListener[], timeout = LONG, longestWait = 0) {
  const lookups = { longestWait: () => longestWait };
  return selfTest({ listeners, lookups, deadline: DEADLINE }, timeout);
}

it("finds nothing wrong with listeners that answer", async () => {
  expect(await test([await running("socketmap"), await running("tcp_table")])).toBeUndefined();
});

it("notices a listener that does not accept, beside one that does", async () => {
  using held = new HeldSocket("test");
  const target = { host: "127.0.0.1", port: Number(held.address.split(":")[1]) };
  const failure = await test([await running("tcp_table"), tested(target)], SHORT);
  expect(failure).toBe("here: no reply within 0.2 s");
});

it("notices a listener that is gone", async () => {
  const { server } = await running("socketmap");
  await server.close();
  expect(await test([{ listener: { protocol: "socketmap" }, server }])).toContain("ECONNREFUSED");
});

it("notices a unix socket whose file somebody has deleted, unless systemd made it", async () => {
  expect(await test([tested({ path: "/nonexistent/socket" })])).toContain("ENOENT");
  expect(await test([tested({ path: "/nonexistent/socket" }, true)])).toBeUndefined();
});

it("notices an answer that is not the right one", async () => {
  const reply: Reply = { status: "TEMP", reason: "broken" };
  const listener = await running("socketmap", { answers: { lookup: () => reply } });
  expect(await test([listener])).toBe(`${listener.server.address} answered "TEMP broken"`);
});

it("notices that no answer comes", async () => {
  const silent: LookupService = { lookup: () => new Promise<Reply>(() => {}) };
  expect(await test([await running("tcp_table", { answers: silent })], SHORT)).toContain("no reply");
});

it("notices a connection that is closed for no reason", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("no port");
  expect(await test([tested({ host: "127.0.0.1", port: bound.port })])).toContain("here: ");
});

it("takes being turned away, because clients have all the places, for a sign of life", async () => {
  const listener = await running("socketmap", { maxConnections: 1 });
  using client = await SocketmapClient.connect(listener.server.address);
  await client.query("postfix", "localhost");
  expect(await test([listener])).toBeUndefined();
});

it("does not hold against a listener that there is no way to it", async () => {
  // TEST-NET-1 as our own address: EADDRNOTAVAIL or ENETUNREACH, whatever the machine has for it.
  const target = { host: "127.0.0.1", port: 9, localAddress: "192.0.2.1" };
  expect(await test([tested(target), tested(undefined)])).toBeUndefined();
});

it("notices a question that waits far beyond its deadline", async () => {
  const listener = await running("socketmap");
  expect(await test([listener], LONG, DEADLINE + 5_000)).toBeUndefined();
  expect(await test([listener], LONG, DEADLINE + 11_000)).toBe("a question has been waiting for 31 s");
});

it("a question goes on with the client who asks, on whom the turns depend", () => {
  const asked: unknown[][] = [];
  const lookup = (...question: unknown[]) => {
    asked.push(question);
    return NOT_FOUND;
  };
  const client = new Stop();
  void new OverdueLookups({ lookup }, () => 0).lookup(ONE, client);
  expect(asked).toEqual([[ONE, client]]);
  expect(asked[0]?.[1]).toBe(client);
});

it("a question that waits is known by its age until it is answered", async () => {
  let now = 1_000;
  const answers = [Promise.withResolvers<Reply>(), Promise.withResolvers<Reply>()];
  let asked = 0;
  const overdue = new OverdueLookups({ lookup: () => answers[asked++]?.promise ?? NOT_FOUND }, () => now);
  void overdue.lookup(ONE);
  now = 3_000;
  void overdue.lookup(new Question("postfix", "two.example"));
  expect(overdue.lookup(new Question("postfix", "three.example"))).toBe(NOT_FOUND);
  now = 4_000;
  expect(overdue.longestWait()).toBe(3_000);
  answers[0]?.resolve(NOT_FOUND);
  await answers[0]?.promise;
  await Promise.resolve();
  expect(overdue.longestWait()).toBe(1_000);
});
