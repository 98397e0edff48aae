/**
 * The floor of the runtime: a server as one would write it in an evening, which takes netstrings and answers each with the
 * same reply. It takes its port as argument.
 */
import { createServer } from "node:net";

/** What the load generator expects of it. */
export const BARE_REPLY = "OK secure match=mx.example.com servername=hostname";

const FRAMED = `${BARE_REPLY.length}:${BARE_REPLY},`;
const COLON = 0x3a;

/** Takes all whole netstrings off the front of `bytes`: how many there were, and what is left. */
function takeNetstrings(bytes: Buffer): { count: number; rest: Buffer } {
  let at = 0;
  for (let count = 0; ; count++) {
    const colon = bytes.indexOf(COLON, at);
    if (colon === -1) return { count, rest: bytes.subarray(at) };
    const end = colon + 1 + Number(bytes.toString("latin1", at, colon)) + 1;
    if (end > bytes.length) return { count, rest: bytes.subarray(at) };
    at = end;
  }
}

if (import.meta.main) {
  const server = createServer({ noDelay: true }, (socket) => {
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      const taken = takeNetstrings(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
      rest = taken.rest;
      if (taken.count > 0) socket.write(FRAMED.repeat(taken.count), "latin1");
    });
    socket.on("error", () => {});
  });
  server.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
}
