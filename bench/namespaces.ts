/** A network, mounts and processes of our own: ports 53 and 443 are free there, and nothing outlives the run. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, runInTerminal } from "../test/e2e/process.ts";

const MARKER = "BENCH_INSIDE";

/** Whether this process was started by {@link enterBench}. */
export function insideBench(): boolean {
  return process.env[MARKER] === "1";
}

/** Runs `command`, for root in new namespaces, and returns its exit status. */
export function enterBench(command: readonly string[], isRoot: boolean): Promise<number> {
  const flags = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const [program = "", ...args] = isRoot ? ["unshare", ...flags, ...command] : command;
  return runInTerminal(program, args, { [MARKER]: "1" });
}

/** Gives the new namespaces their loopback and a resolv.conf that leads to the bench's name server. */
export async function prepareBench(): Promise<void> {
  await mustRun("ip", ["link", "set", "lo", "up"]);
  const folder = await mkdtemp(join(tmpdir(), "stsmapd-bench-"));
  const file = join(folder, "resolv.conf");
  await writeFile(file, "nameserver 127.0.0.1\n");
  await mustRun("mount", ["--bind", file, "/etc/resolv.conf"]);
  await rm(folder, { recursive: true });
}
