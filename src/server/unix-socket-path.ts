/** Where a unix socket is bound that somebody else made. */
import { fstatSync, readFileSync } from "node:fs";

/**
 * The path that the unix socket `fd` is bound to; undefined where it is none, or is abstract, or is of another network
 * namespace. Node has no getsockname(2) for unix sockets; proc_net_unix(5) tells the path by the socket's inode.
 */
export function unixSocketPath(fd: number): string | undefined {
  const { ino } = fstatSync(fd, { bigint: true });
  try {
    const table = readFileSync("/proc/self/net/unix", "utf8");
    const line = new RegExp(`^(?:\\S+ +){6}${ino} (/.*)$`, "m").exec(table);
    return line?.[1];
  } catch {
    return undefined;
  }
}
