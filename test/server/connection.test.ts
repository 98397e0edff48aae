import { Socket } from "node:net";
import { setImmediate as setImmediateCallback } from "node:timers";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Stop } from "../../src/lookup/deadline.ts";
import type { LookupService } from "../../src/lookup/lookup-service.ts";
import type { Question } from "../../src/lookup/question.ts";
import { NOT_FOUND, type Reply } from "../../src/policy/reply.ts";
import { MAX_AWAITED } from "../../src/server/connection.ts";
import { listen, type LookupServer } from "../../src/server/listener.ts";
import { encodeNetstring } from "../../src/server/netstring.ts";
import type { ProtocolError } from "../../src/server/request-parser.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { tcpTable } from "../../src/server/tcp-table.ts";
import {
  RawClient,
  SocketmapClient,
  takeLine,
  takeNetstring,
  TcpTableClient,
} from "../helpers/postfix-client.ts";

const ok = (text: string): Reply => ({ status: "OK", text, shortText: text });
const ask = (key: string) => encodeNetstring(`postfix ${key}`);

const servers: LookupServer[] = [];
const violations: ProtocolError[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.drain(AbortSignal.abort());
  violations.length = 0;
});

async function serve(service: LookupService, protocol = socketmap): Promise<LookupServer> {
  const server = await listen({ address: "127.0.0.1:0" }, protocol(service), {
    onViolation: (error) => violations.push(error),
    onAcceptError: (error) => {
      throw error;
    },
    onFullChange() {},
  });
  servers.push(server);
  return server;
}

/** Answers keys that begin with `later` when told to, all others at once, each with the key itself. */
class Desk implements LookupService {
  readonly asked: string[] = [];
  /** Who asked last. */
  client: Stop | undefined;
  readonly #waiting = new Map<string, () => void>();

  lookup({ key }: Question, client?: Stop): Reply | Promise<Reply> {
    this.asked.push(key);
    this.client = client;
    if (!key.startsWith("later")) return ok(key);
    return new Promise((resolve) => {
      this.#waiting.set(key, () => resolve(ok(key)));
    });
  }

  answer(key: string): void {
    this.#waiting.get(key)!();
  }

  /** Resolves when `count` lookups have come. */
  async has(count: number): Promise<void> {
    while (this.asked.length < count) await setImmediate();
  }
}

describe("one client", () => {
  it("asks again and again on one connection", async () => {
    const server = await serve({
      lookup: ({ map, key }) => (key === "none" ? NOT_FOUND : ok(`${map} ${key}`)),
    });
    using client = await SocketmapClient.connect(server.address);
    expect(await client.query("postfix", "a.example")).toEqual({ status: "OK", text: "postfix a.example" });
    expect(await client.query("postfix", "none")).toEqual({ status: "NOTFOUND", text: "" });
    expect(await client.query("QUERY", "a b")).toEqual({ status: "OK", text: "QUERY a b" });
    expect(server.connections).toBe(1);
  });

  it("asks over tcp_table", async () => {
    const server = await serve(new Desk(), (service) => tcpTable(service, "postfix"));
    using client = await TcpTableClient.connect(server.address);
    expect(await client.query("a.example")).toEqual({ code: 200, text: "a.example" });
    expect(await client.query("a b%")).toEqual({ code: 200, text: "a b%" });
  });

  it("may send an octet at a time", async () => {
    const server = await serve(new Desk());
    using client = await RawClient.connect(server.address);
    for (const octet of ask("a.example")) {
      client.write(octet);
      await setImmediate();
    }
    expect(await takeNetstring(client)).toBe("OK a.example");
  });

  it("gets large replies whole", async () => {
    const server = await serve({ lookup: ({ key }) => ok(key.repeat(90_000)) });
    using client = await RawClient.connect(server.address);
    client.write(ask("a") + ask("b") + ask("c"));
    for (const key of ["a", "b", "c"]) expect(await takeNetstring(client)).toBe(`OK ${key.repeat(90_000)}`);
  });

  it("that goes away while its answer is awaited disturbs nobody", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using other = await SocketmapClient.connect(server.address);
    const client = await RawClient.connect(server.address);
    client.write(ask("later") + ask("more"));
    await desk.has(2);
    client.socket.resetAndDestroy();
    while (server.connections === 2) await setImmediate();
    expect(desk.client?.isCalled, "the lookup service knows").toBe(true);
    desk.answer("later");
    expect(await other.query("postfix", "a")).toEqual({ status: "OK", text: "a" });
  });
});

/** More than are looked up at a time, and each answered when told to. */
const manyKeys = (name: string) => Array.from({ length: 2 * MAX_AWAITED }, (_, n) => `later${n}.${name}`);

describe("several clients", () => {
  it("may send their requests in pieces by turns", async () => {
    const server = await serve(new Desk());
    using one = await RawClient.connect(server.address);
    using other = await RawClient.connect(server.address);
    const requests = [ask("one.example"), ask("other.example") + ask("more.example")];
    for (let at = 0; at < Math.max(...requests.map(({ length }) => length)); at += 5) {
      for (const [n, client] of [one, other].entries()) {
        client.write(requests[n]?.slice(at, at + 5) ?? "");
        await setImmediate();
      }
    }
    expect(await takeNetstring(one)).toBe("OK one.example");
    expect(await takeNetstring(other)).toBe("OK other.example");
    expect(await takeNetstring(other)).toBe("OK more.example");
  });

  it("that wait for answers keep what they sent after", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using one = await RawClient.connect(server.address);
    using other = await RawClient.connect(server.address);
    one.write(manyKeys("one").map(ask).join(""));
    await desk.has(MAX_AWAITED);
    other.write(manyKeys("other").map(ask).join(""));
    await desk.has(2 * MAX_AWAITED);
    for (const [n, key] of manyKeys("one").entries()) {
      await desk.has(n + 1);
      while (!desk.asked.includes(key)) await setImmediate();
      desk.answer(key);
      expect(await takeNetstring(one)).toBe(`OK ${key}`);
    }
  });
});

describe("several requests in one segment", () => {
  it("are answered in order with one write", async () => {
    const server = await serve(new Desk());
    using client = await RawClient.connect(server.address);
    const segments: Buffer[] = [];
    client.socket.on("data", (chunk: Buffer) => segments.push(chunk));
    client.write(ask("a") + ask("b") + ask("c"));
    expect([await takeNetstring(client), await takeNetstring(client), await takeNetstring(client)]).toEqual([
      "OK a",
      "OK b",
      "OK c",
    ]);
    expect(segments).toHaveLength(1);
  });

  it("are answered in order although later ones are known first", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using client = await RawClient.connect(server.address);
    client.write(["later1", "a", "later2", "b"].map(ask).join(""));
    await desk.has(4);
    desk.answer("later2");
    await setImmediate();
    expect(client.received).toBe("");
    desk.answer("later1");
    const replies = [];
    for (let i = 0; i < 4; i++) replies.push(await takeNetstring(client));
    expect(replies).toEqual(["OK later1", "OK a", "OK later2", "OK b"]);
  });

  it("are looked up only so many at a time", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using client = await RawClient.connect(server.address);
    const keys = Array.from({ length: 3 * MAX_AWAITED }, (_, i) => `later${i}`);
    client.write(keys.map(ask).join(""));
    await desk.has(MAX_AWAITED);
    // The rest came with the same segment; were it looked up, that would have been in the same turn.
    expect(desk.asked).toHaveLength(MAX_AWAITED);
    for (const [i, key] of keys.entries()) {
      await desk.has(i + 1);
      desk.answer(key);
      expect(await takeNetstring(client)).toBe(`OK ${key}`);
    }
  });
});

it("a client that sends thousands of requests at once has others wait for a few of them only", async () => {
  const desk = new Desk();
  const server = await serve(desk);
  using greedy = await RawClient.connect(server.address);
  using other = await SocketmapClient.connect(server.address);
  const keys = Array.from({ length: 5_000 }, (_, i) => `greedy${i}`);
  greedy.write(keys.map(ask).join(""));
  expect(await other.query("postfix", "other")).toEqual({ status: "OK", text: "other" });
  expect(desk.asked.indexOf("other")).toBeLessThan(200);
  for (const key of keys) expect(await takeNetstring(greedy)).toBe(`OK ${key}`);
});

it("what a client asks in a row is twenty requests a turn", async () => {
  const asked: string[] = [];
  const turns: number[] = [];
  const server = await serve({
    lookup({ key }) {
      // Comes before the next turn, which is asked for later.
      if (asked.push(key) === 1) setImmediateCallback(() => turns.push(asked.length));
      return ok(key);
    },
  });
  using client = await RawClient.connect(server.address);
  client.write(Array.from({ length: 60 }, (_, n) => ask(`d${n}.example`)).join(""));
  while (asked.length < 60) await setImmediate();
  expect(turns).toEqual([20]);
});

it("who asks for one thing at a time never makes way", async () => {
  const server = await serve(new Desk());
  using client = await SocketmapClient.connect(server.address);
  const turns = vi.spyOn(globalThis, "setImmediate");
  try {
    for (let n = 0; n < 50; n++) await client.query("postfix", `d${n}.example`);
    expect(turns).not.toHaveBeenCalled();
  } finally {
    turns.mockRestore();
  }
});

it("what fills a read is a turn, too: long requests come by seven or eight", async () => {
  const asked: string[] = [];
  /** How many were asked before each turn. */
  const turns = [0];
  let isTurn = false;
  const server = await serve({
    lookup({ key }) {
      asked.push(key);
      if (isTurn) return NOT_FOUND;
      isTurn = true;
      setImmediateCallback(() => {
        isTurn = false;
        turns.push(asked.length);
      });
      return NOT_FOUND;
    },
  });
  using client = await RawClient.connect(server.address);
  client.write(Array.from({ length: 100 }, (_, n) => ask(`${"x".repeat(9_000)}${n}`)).join(""));
  while (turns.at(-1)! < 100) await setImmediate();
  const sizes = turns.slice(1).map((count, n) => count - turns[n]!);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
});

describe("a client that does not read", () => {
  it("is not read either, and gets everything in order once it reads", async () => {
    const text = "x".repeat(50_000);
    const asked: string[] = [];
    const server = await serve({
      lookup: ({ key }) => {
        asked.push(key);
        return ok(`${key} ${text}`);
      },
    });
    using client = await RawClient.connect(server.address);
    client.socket.pause();
    const total = 5_000;
    client.write(Array.from({ length: total }, (_, i) => ask(String(i))).join(""));
    // 250 MB of replies: no kernel buffers that, so lookups must come to rest well before.
    for (let seen = -1; seen !== asked.length || seen === 0;) {
      seen = asked.length;
      for (let turn = 0; turn < 50; turn++) await setImmediate();
    }
    expect(asked.length).toBeLessThan(total / 2);
    client.socket.resume();
    for (let i = 0; i < total; i++) {
      const reply = await takeNetstring(client);
      expect(reply.length).toBe(`OK ${i} ${text}`.length);
      expect(reply.startsWith(`OK ${i} `)).toBe(true);
    }
  });
});

describe("a client that ends its side", () => {
  it("still gets the replies it asked for, then the connection ends", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using client = await RawClient.connect(server.address, { halfOpen: true });
    client.write(ask("a") + ask("later") + ask("b"));
    client.end();
    await desk.has(3);
    await setImmediate();
    desk.answer("later");
    for (const key of ["a", "later", "b"]) expect(await takeNetstring(client)).toBe(`OK ${key}`);
    await client.closed;
    expect(client.received).toBe("");
  });

  it("in the middle of a request is closed without a reply", async () => {
    const server = await serve(new Desk());
    using client = await RawClient.connect(server.address, { halfOpen: true });
    client.write("19:postfix exa");
    client.end();
    await client.closed;
    expect(client.received).toBe("");
  });
});

describe("a client that breaks the framing", () => {
  it("is closed after the replies to what came before, and nobody else is", async () => {
    const desk = new Desk();
    const server = await serve(desk);
    using other = await SocketmapClient.connect(server.address);
    using client = await RawClient.connect(server.address);
    client.write(`${ask("a")}${ask("later")}05:hello,${ask("never")}`);
    await desk.has(2);
    desk.answer("later");
    for (const key of ["a", "later"]) expect(await takeNetstring(client)).toBe(`OK ${key}`);
    await client.closed;
    expect(client.received).toBe("");
    expect(violations.map((error) => error.code)).toEqual(["bad-length"]);
    expect(desk.asked).not.toContain("never");
    expect(await other.query("postfix", "b")).toEqual({ status: "OK", text: "b" });
  });

  it.each<[string, typeof socketmap]>([
    ["99999:", socketmap],
    ["GET / HTTP/1.1\r\n\r\n", socketmap],
    [`get ${"a".repeat(30_001)}`, (service) => tcpTable(service, "postfix")],
  ])("by %.20j is closed at once", async (octets, protocol) => {
    const server = await serve(new Desk(), protocol);
    using client = await RawClient.connect(server.address);
    client.write(octets);
    await client.closed;
    expect(violations).toHaveLength(1);
    while (server.connections > 0) await setImmediate();
  });

  it("is told so and not closed where tcp_table has a word for it", async () => {
    const server = await serve(new Desk(), (service) => tcpTable(service, "postfix"));
    using client = await RawClient.connect(server.address);
    client.write("HELO\nput a b\nget a\n");
    expect(await takeLine(client)).toMatch(/^400 /);
    expect(await takeLine(client)).toMatch(/^500 /);
    expect(await takeLine(client)).toBe("200 a");
  });
});

describe("idle clients", () => {
  it("are kept for ever: no timer closes them, and no socket has one", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "setInterval"] });
    // The timers of sockets are Node's own, which the fake ones do not move.
    const ofSockets = vi.spyOn(Socket.prototype, "setTimeout");
    try {
      const server = await serve(new Desk());
      using client = await SocketmapClient.connect(server.address);
      expect(await client.query("m", "a")).toEqual({ status: "OK", text: "a" });
      vi.advanceTimersByTime(7 * 86_400_000);
      expect(await client.query("m", "b")).toEqual({ status: "OK", text: "b" });
      expect(ofSockets).not.toHaveBeenCalled();
    } finally {
      ofSockets.mockRestore();
      vi.useRealTimers();
    }
  });

  it("may be a thousand, and each is answered", async () => {
    const server = await serve(new Desk());
    const clients = await Promise.all(
      Array.from({ length: 1_000 }, () => SocketmapClient.connect(server.address)),
    );
    const texts = await Promise.all(
      clients.map(async (client, i) => (await client.query("m", `k${i}`)).text),
    );
    expect(texts).toEqual(clients.map((_, i) => `k${i}`));
    for (const client of clients) client[Symbol.dispose]();
  });
});
