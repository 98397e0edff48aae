/** How long the path of a unix socket may be. */
import { dirname } from "node:path";

/** Bytes that Linux has for the path (unix(7)), without the final NUL. */
export const MAX_SOCKET_PATH = 107;

/** Bytes for the folder of a socket to listen at: {@link bindingFolder} and the socket in it take the rest. */
export const MAX_SOCKET_FOLDER = MAX_SOCKET_PATH - "/.XXXXXX/s".length;

/**
 * The beginning of the private folder, made by mkdtemp(3), in which the socket that shall be at `path` is bound. The socket
 * in it has a name of one character.
 */
export function bindingFolder(path: string): string {
  return `${dirname(path)}/.`;
}

/** Whether a client can connect to a socket at `path`. */
export function canConnectTo(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH;
}

/** Whether a server can listen at `path`: clients can connect, and there is room for the name it is first bound to. */
export function canListenAt(path: string): boolean {
  return canConnectTo(path) && Buffer.byteLength(dirname(path)) <= MAX_SOCKET_FOLDER;
}
