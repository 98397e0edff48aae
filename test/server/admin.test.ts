/** The admin socket: who may use it, what it bears, and that a broken client disturbs nothing. */
import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { AdminRequestError, listenAdmin, type AdminRoute } from "../../src/server/admin.ts";
import { ListenError } from "../../src/server/listen-error.ts";
import { splitLines } from "../../src/server/lines.ts";
import { collect } from "../helpers/collect.ts";
import { RunningAdmin } from "../helpers/running-admin.ts";

const PING: AdminRoute = { method: "GET", path: "/ping", handle: () => ({ status: 200, json: "pong" }) };
const ACT: AdminRoute = { ...PING, method: "POST", path: "/act" };
const ECHO: AdminRoute = {
  method: "POST",
  path: "/echo/:name",
  takesBody: true,
  handle: async ({ parameters, query, body }) => {
    const octets = Buffer.concat(await collect(body)).toString();
    return { status: 200, json: [parameters["name"], query.get("q"), octets] };
  },
};

/** Counts how many lines were made. */
function endless(): { route: AdminRoute; made: () => number; ended: Promise<void> } {
  let made = 0;
  const ended = Promise.withResolvers<void>();
  async function* lines(): AsyncGenerator<string> {
    try {
      for (;;) {
        made++;
        yield `${"x".repeat(1_000)}\n`;
      }
    } finally {
      ended.resolve();
    }
  }
  const route: AdminRoute = {
    method: "GET",
    path: "/endless",
    handle: () => ({ status: 200, lines: lines() }),
  };
  return { route, made: () => made, ended: ended.promise };
}

async function* failing(): AsyncGenerator<string> {
  yield "1\n";
  throw new Error("disk full");
}

async function split(...chunks: readonly string[]): Promise<string[]> {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  return (await collect(splitLines(source(), 5))).map(String);
}

describe("the socket", () => {
  it("is for its owner and group, and gone at the end", async () => {
    await using running = await new RunningAdmin().start([PING]);
    const { mode } = statSync(running.path);
    expect(mode & 0o777).toBe(0o660);
    await running.close();
    await running.close();
    expect(statSync(running.path, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("refuses one that is in use, a file that is no socket, and a folder that is not there", async () => {
    await using running = await new RunningAdmin().start([PING]);
    const file = join(running.folder, "file");
    writeFileSync(file, "");
    for (const path of [running.path, file, join(running.folder, "none", "s")]) {
      const options = { path, mode: 0o660, owner: undefined, group: undefined };
      await expect(listenAdmin(options, [], () => {})).rejects.toBeInstanceOf(ListenError);
    }
    expect(await running.ask("GET", "/ping")).toMatchObject({ status: 200 });
  });
});

describe("a request", () => {
  it.each([
    ["GET", "/ping", 200, '"pong"\n'],
    ["GET", "/nowhere", 404, '{"error":"there is no such path"}\n'],
    ["GET", "/ping/more", 404, '{"error":"there is no such path"}\n'],
    ["DELETE", "/ping", 405, '{"error":"only GET"}\n'],
    ["POST", "/echo/d.example?q=1", 200, '["d.example","1",""]\n'],
    ["GET", "/refuse", 400, '{"error":"not like this"}\n'],
    ["GET", "/fail", 500, '{"error":"a fault of our own"}\n'],
  ])("%s %s is answered %i %s", async (method, path, status, answer) => {
    await using running = await new RunningAdmin().start([
      PING,
      ECHO,
      {
        method: "GET",
        path: "/refuse",
        handle: () => {
          throw new AdminRequestError(400, "not like this");
        },
      },
      { method: "GET", path: "/fail", handle: () => Promise.reject(new Error("a fault of our own")) },
    ]);
    expect(await running.ask(method, path)).toEqual({ status, text: answer });
    expect(running.errors).toHaveLength(status === 500 ? 1 : 0);
  });

  it("with a body where none is taken is refused, and where one is, taken", async () => {
    await using running = await new RunningAdmin().start([ACT, ECHO]);
    expect(await running.ask("POST", "/act", "x".repeat(100_000))).toMatchObject({ status: 413 });
    expect(await running.ask("POST", "/echo/a", "body")).toEqual({
      status: 200,
      text: '["a",null,"body"]\n',
    });
  });

  it("that is no HTTP, or too long, ends its connection and disturbs nothing", async () => {
    await using running = await new RunningAdmin().start([PING]);
    for (const octets of [
      "8:QUERY ab,",
      "\0\x01\x02\r\n\r\n",
      `GET /ping?${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`,
    ]) {
      const socket = await running.raw();
      socket.end(octets);
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect(await running.ask("GET", "/ping")).toMatchObject({ status: 200 });
    expect(running.errors).toEqual([]);
  });

  it("that never comes holds nobody up, and at most 16 are let in", async () => {
    await using running = await new RunningAdmin().start([PING]);
    const idle = await Promise.all(Array.from({ length: 15 }, () => running.raw()));
    expect(await running.ask("GET", "/ping")).toMatchObject({ status: 200 });
    idle.push(await running.raw());
    const oneMore = await running.raw();
    await once(oneMore, "close");
    for (const socket of idle) socket.destroy();
  });
});

describe("lines", () => {
  it("are made only as fast as they are read, and no more when nobody does", async () => {
    const { route, made, ended } = endless();
    await using running = await new RunningAdmin().start([route, PING]);
    const socket = await running.raw();
    socket.pause();
    socket.write("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    let before = -1;
    // Until the buffers on the way are full.
    while (before !== made()) {
      before = made();
      for (let turn = 0; turn < 1_000; turn++) await nextTurn();
    }
    expect(made()).toBeGreaterThan(0);
    expect(made()).toBeLessThan(10_000);
    expect(await running.ask("GET", "/ping")).toMatchObject({ status: 200 });
    socket.destroy();
    await ended;
    expect(running.errors, "that the client went away is no fault").toEqual([]);
  });

  it("end with the error where they fail on the way", async () => {
    const route: AdminRoute = {
      method: "GET",
      path: "/lines",
      handle: () => ({ status: 200, lines: failing() }),
    };
    await using running = await new RunningAdmin().start([route]);
    expect(await running.ask("GET", "/lines")).toEqual({ status: 200, text: '1\n{"error":"disk full"}\n' });
    expect(running.errors).toHaveLength(1);
  });

  it("are cut off when the server closes", async () => {
    const { route, ended } = endless();
    await using running = await new RunningAdmin().start([route]);
    const socket = await running.raw();
    socket.write("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "data");
    socket.resume();
    await Promise.all([running.close(), once(socket, "close"), ended]);
    expect(running.errors).toEqual([]);
  });
});

describe("a connection without traffic", () => {
  const idleTimeout = 100;

  it("ends after a while", async () => {
    const route: AdminRoute = { ...PING, handle: () => new Promise(() => {}) };
    await using running = await new RunningAdmin().start([route], { idleTimeout });
    const socket = await running.raw();
    socket.write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await text(socket)).toBe("");
  });

  it("stays while empty chunks say that lines are searched for", async () => {
    async function* lines(): AsyncGenerator<string> {
      for (let elapsed = 0; elapsed < 3 * idleTimeout; elapsed += 20) {
        await sleep(20);
        yield "";
      }
      yield "1\n";
    }
    const route: AdminRoute = { ...PING, handle: () => ({ status: 200, lines: lines() }) };
    await using running = await new RunningAdmin().start([route], { idleTimeout });
    expect(await running.ask("GET", "/ping")).toEqual({ status: 200, text: "1\n" });
  });
});

describe("splitLines", () => {
  it.each([
    [[""], []],
    [["a\nb"], ["a", "b"]], // the last needs no end
    [["a\nb\n"], ["a", "b"]],
    [
      ["a", "b\n\n", "\nc"],
      ["ab", "", "", "c"],
    ], // cut anywhere
    [["abcde\nf"], ["abcde", "f"]],
    [["abcdef\ng"], ["abcdef", "g"]], // one too many is kept, so that it shows
    [
      ["abcdefgh", "ij", "\nk"],
      ["abcdef", "k"],
    ], // the rest is not
  ])("of %j gives %j", async (chunks, lines) => {
    expect(await split(...chunks)).toEqual(lines);
  });
});
