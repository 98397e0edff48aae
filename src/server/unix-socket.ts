/** A unix socket as a file: who may use it, what it may replace, and whose it is at the end. */
import { once } from "node:events";
// Not node:fs/promises, which loads node:readline too: 2 ms before the first answer.
import { promises as fs } from "node:fs";
import { connect, type Server } from "node:net";
import { join } from "node:path";
import { bindingFolder, canListenAt } from "../net/socket-path.ts";
import { accountId } from "./account.ts";
import { ListenError, systemCode } from "./listen-error.ts";

export interface UnixSocketOptions {
  /** Permission bits, e.g. 0o660. A client needs to write. */
  readonly mode: number;
  /** User name or number; the process's own if undefined. */
  readonly owner: string | undefined;
  /** Group name or number; the process's own if undefined. */
  readonly group: string | undefined;
}

/**
 * Makes `server` listen on `path` and returns what removes the file, if it is still the one made here.
 * The socket is bound in a private folder beside `path`, given its owner and mode there, then moved into place: at no
 * moment can anybody use it who may not, or find no socket where a stale one was. It also keeps libuv, which removes
 * the path it bound whatever stands there by then, from a successor's socket.
 * Throws {@link ListenError}, or what the system said.
 */
export async function listenOnUnixSocket(
  server: Server,
  path: string,
  options: UnixSocketOptions,
  backlog: number,
): Promise<() => Promise<void>> {
  const user = await findAccount("/etc/passwd", "user", options.owner, path);
  const group = await findAccount("/etc/group", "group", options.group, path);
  if (!canListenAt(path))
    throw new ListenError("bad-address", `unix:${path}`, "the path is too long for a unix socket");
  await refuseUnlessFree(path);
  const folder = await fs.mkdtemp(bindingFolder(path));
  try {
    const socket = join(folder, "s");
    server.listen({ path: socket, backlog });
    await once(server, "listening");
    await fs.chown(socket, user ?? -1, group ?? -1);
    await fs.chmod(socket, options.mode);
    const { dev, ino } = await fs.lstat(socket);
    await fs.rename(socket, path);
    return async () => {
      const found = await fs.lstat(path).catch(() => undefined);
      if (found?.dev === dev && found.ino === ino) await fs.rm(path, { force: true });
    };
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

/** Free is a path with nothing there, or a socket that its process left behind. */
async function refuseUnlessFree(path: string): Promise<void> {
  const address = `unix:${path}`;
  const found = await fs.lstat(path).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ListenError("not-a-socket", address, "a file that is no socket is there; move it away");
  const probe = connect(path);
  try {
    await once(probe, "connect");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ECONNREFUSED" || code === "ENOENT") return;
    // A full backlog (EAGAIN) or another type (EPROTOTYPE) has somebody behind it; EACCES tells nothing.
    if (code === "EACCES") throw error;
  } finally {
    probe.destroy();
  }
  throw new ListenError("in-use", address, "another process listens there; stop it or choose another path");
}

async function findAccount(database: string, kind: string, name: string | undefined, path: string) {
  if (name === undefined) return undefined;
  const id = accountId(await fs.readFile(database, "utf8"), name);
  if (id === undefined)
    throw new ListenError("unknown-account", `unix:${path}`, `${database} has no ${kind} "${name}"`);
  return id;
}
