/** That the kernel asks silent clients whether they are alive: a client that vanished would stay connected for ever. */
import type { Server, Socket } from "node:net";

/** Milliseconds without a word after which it asks. One that is alive stays connected. */
const DELAY = 60_000;

/** Where an accepted socket has the options of the one that listened. */
const INHERITS = process.platform === "linux";

/**
 * Has all clients of `server` asked, from when it listens; nobody vanishes from a unix socket. The option is set on the listening
 * socket, and not on each client's, which would be four system calls for each. Node has no way to that documented: where it is
 * not as expected, each is set.
 *
 * A connection has what the listening socket had when the kernel made it, so on an inherited one, where clients may have been
 * queued before we started, each is set. On one of our own this leaves out who connects between listen(2) and the event, which
 * Node emits before it comes back to the event loop.
 */
export function keepClientsAlive(server: Server, isInherited: boolean): void {
  server.once("listening", () => {
    if (!isTcp(server)) return;
    if (isInherited || !INHERITS || !setOnListener(server))
      server.on("connection", (client: Socket) => client.setKeepAlive(true, DELAY));
  });
}

/** Of another server Node gives null, a path, or no port. */
function isTcp(server: Server): boolean {
  const bound = server.address();
  return typeof bound === "object" && Boolean(bound?.port);
}

function setOnListener(server: Server): boolean {
  const handle: unknown = Reflect.get(server, "_handle");
  return takesKeepAlive(handle) && handle.setKeepAlive(true, DELAY / 1000) === 0;
}

/** `setKeepAlive` takes seconds, and gives 0 or an error's number. */
function takesKeepAlive(
  handle: unknown,
): handle is { setKeepAlive(enable: boolean, delay: number): unknown } {
  return (
    typeof handle === "object" &&
    handle !== null &&
    "setKeepAlive" in handle &&
    typeof handle.setKeepAlive === "function"
  );
}
