/**
 * Runs a process that may do no more than the owner of its files may, root's too: what a test says of permissions must hold
 * for root, who runs CI. It stays the same user, so that it can read a checkout that is nobody else's to read.
 */
import process from "node:process";

/** The command that runs `args` with this Node. setpriv(1) is part of util-linux, which no Debian is without. */
export function unprivileged(args: readonly string[]): [command: string, args: string[]] {
  if (process.geteuid?.() !== 0) return [process.execPath, [...args]];
  return ["setpriv", ["--bounding-set=-all", "--inh-caps=-all", "--", process.execPath, ...args]];
}
