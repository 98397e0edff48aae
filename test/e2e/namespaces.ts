import { mkdir, writeFile } from "node:fs/promises";
import { hasForky, mountWorldInForky } from "./forky.ts";
import { mustRun, runInTerminal } from "./process.ts";

/**
 * The folder of everything the suite writes: a tmpfs, in our mount namespace only, over the queue of the machine's own
 * Postfix. So that queue is out of reach, and nothing is left behind, however the run ends.
 */
export const worldFolder = "/var/spool/postfix";

const marker = "STSMAPD_E2E_INSIDE";

/** Whether this process was started by `enterNamespaces`. */
export function insideNamespaces(): boolean {
  return process.env[marker] === "1";
}

/**
 * Runs `command` in new network, mount and process namespaces and returns its exit status. The command is process 1 of its
 * namespace: when it ends, or when we do, the kernel ends every process that the suite started.
 */
export function enterNamespaces(command: readonly string[]): Promise<number> {
  const flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  return runInTerminal("unshare", [...flags, ...command], { [marker]: "1" });
}

/** Gives the new namespaces their addresses, their folder and their resolver. */
export async function prepareNamespaces(): Promise<void> {
  await mustRun("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", worldFolder]);
  await mustRun("ip", ["link", "set", "lo", "up"]);
  // On the loopback interface the whole prefix becomes local: any 10.53.x.y can be bound to from now on.
  await mustRun("ip", ["address", "add", "10.53.0.1/16", "dev", "lo"]);

  await mkdir(`${worldFolder}/etc`);
  await writeFile(`${worldFolder}/etc/resolv.conf`, "nameserver 127.0.0.1\n");
  await mustRun("mount", ["--bind", `${worldFolder}/etc/resolv.conf`, "/etc/resolv.conf"]);
  if (await hasForky()) await mountWorldInForky(worldFolder);
}
