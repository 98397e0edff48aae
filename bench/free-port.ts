import { once } from "node:events";
import { createServer } from "node:net";

/** A TCP port of loopback that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  server.close();
  await once(server, "close");
  if (bound === null || typeof bound === "string") throw new TypeError("a TCP server without a port");
  return bound.port;
}
