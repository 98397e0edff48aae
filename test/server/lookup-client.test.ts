/** The client of `query`: what it makes of servers that are not as they should be. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { ask, type Question } from "../../src/server/lookup-client.ts";

async function askServer(serve: (socket: Socket) => void, question: Partial<Question> = {}) {
  const server = createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A TCP server has no other kind of address.
  const { port } = server.address() as AddressInfo;
  try {
    return await ask({
      protocol: "socketmap",
      server: { host: "127.0.0.1", port },
      map: "postfix",
      key: "d.example",
      timeout: 10_000,
      ...question,
    });
  } finally {
    server.close();
  }
}

function saying(text: string): (socket: Socket) => void {
  return (socket) => {
    socket.once("data", () => {
      socket.end(text, "latin1");
    });
  };
}

function inPieces(socket: Socket): void {
  socket.write("9:NOT");
  socket.once("data", () => socket.end("FOUND ,"));
}

function resetting(socket: Socket): void {
  socket.once("data", () => {
    socket.resetAndDestroy();
  });
}

describe("a reply", () => {
  it("is given as socketmap words it", async () => {
    expect(await askServer(saying("9:NOTFOUND ,"))).toBe("NOTFOUND ");
  });

  it("is decoded where the protocol is tcp_table", async () => {
    expect(await askServer(saying("200 secure%20match=a%2Cb\n"), { protocol: "tcp_table" })).toBe(
      "200 secure match=a,b",
    );
  });

  it("may come in pieces", async () => {
    expect(await askServer(inPieces)).toBe("NOTFOUND ");
  });
});

describe("a failure has a code:", () => {
  it.each([
    ["closed", saying(""), {}],
    ["closed", resetting, {}],
    ["malformed", saying("HTTP/1.1 400 Bad Request\r\n\r\n"), {}],
    ["malformed", saying("hello\n"), { protocol: "tcp_table" }],
    ["timeout", () => {}, { timeout: 20 }],
    ["unreachable", () => {}, { server: { path: "/nonexistent/socket" } }],
  ] as const)("%s", async (code, serve, question) => {
    await expect(askServer(serve, question)).rejects.toMatchObject({ name: "LookupClientError", code });
  });
});
