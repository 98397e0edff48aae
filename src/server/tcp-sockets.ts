/** Several listening sockets on one TCP address. */
import { once } from "node:events";
import type { ListenOptions, Server } from "node:net";

/**
 * libuv lets in one client for each listening socket and turn of the event loop, in which all who are in and ask are
 * answered. Where clients come and go quickly, one socket keeps each of them waiting for dozens of turns; among several the
 * kernel spreads them. Sixteen take the p99 of clients with ten questions each to a third; more gain little.
 */
const SOCKETS = 16;

/** Where the kernel spreads clients over sockets that share a port. */
const CAN_SHARE = process.platform === "linux";

/**
 * Listens where `options` say, with servers that `create` makes and the caller closes, also after a failure. Returns the
 * port: the one that was chosen for 0. Rejects with what the system says. A kernel or a sandbox that lets no sockets share a
 * port costs speed only: there is one then, and `onUnshared` is told why.
 *
 * The first listens alone for a moment, and not as one of several: the kernel would let two daemons of one user share a
 * port, and nobody would be told.
 */
export async function listenOnTcp(
  create: () => Server,
  options: ListenOptions,
  onUnshared: (error: unknown) => void,
): Promise<number> {
  const alone = create();
  await listening(alone, options);
  const bound = alone.address();
  if (bound === null || typeof bound === "string") throw new TypeError("a TCP server without a port");
  if (!CAN_SHARE) return bound.port;
  alone.close();
  const { port } = bound;
  const shared = { ...options, port, reusePort: true };
  try {
    await listening(create(), shared);
  } catch (error) {
    await listening(create(), { ...options, port });
    onUnshared(error);
    return port;
  }
  for (let n = 1; n < SOCKETS; n++) await listening(create(), shared);
  return port;
}

async function listening(server: Server, options: ListenOptions): Promise<void> {
  server.listen(options);
  await once(server, "listening");
}
