import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { Daemon, eventually, mustRun, type Result, run } from "../e2e/process.ts";
import { rootLayers, type Suite } from "./roots.ts";

/** Process 1 of a machine: what its command line begins with, and the command that becomes it. */
interface Init {
  readonly program: string;
  readonly command: readonly string[];
}

const bareInit: Init = { program: "/bin/sleep", command: ["/bin/sleep", "infinity"] };

const systemd = "/lib/systemd/systemd --system --log-target=console --show-status=no";
/** Installs systemd before it starts it, as Debian's root folder has none. */
export const systemdInit: Init = {
  program: "/lib/systemd/systemd",
  command: [
    "/bin/sh",
    "-ec",
    `DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends systemd systemd-sysv; exec ${systemd}`,
  ],
};

/** A Debian of its own, in namespaces without a way out; what is written there is gone with it. */
export class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly #unshare: Daemon;
  /** Of its process 1, here. */
  readonly #init: string;

  private constructor(folder: string, unshare: Daemon, init: string) {
    this.#folder = folder;
    this.#unshare = unshare;
    this.#init = init;
  }

  /** Starts one with `init` as its process 1; the folder `shared` is its /mnt/shared. */
  static async start(suite: Suite, shared: string, init: Init = bareInit): Promise<Machine> {
    const folder = await mkdtemp(join(tmpdir(), "stsmapd-machine-"));
    const root = join(folder, "root");
    await mustRun("mkdir", [root]);
    const script = join(import.meta.dirname, "machine.sh");
    const args = ["--mount", script, root, rootLayers(suite).join(":"), shared, ...init.command];
    const unshare = await Daemon.start("unshare", args, join(folder, "log"));
    const pid = await eventually("process 1", async () => {
      if (!unshare.running) throw new Error(await readFile(join(folder, "log"), "utf8"));
      return processOne(unshare.pid ?? 0, init.program);
    });
    return new Machine(folder, unshare, pid);
  }

  /** Runs a command in the machine, as root, to its end. */
  run(command: string, ...args: string[]): Promise<Result> {
    return run("nsenter", [...this.#enter(), command, ...args], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }

  /** Runs a line of the shell there that has to succeed, and returns its standard output. */
  async sh(line: string): Promise<string> {
    const result = await this.run("sh", "-c", line);
    if (result.code === 0) return result.stdout;
    throw new Error(`${line} ended with ${result.code}: ${result.stderr}${result.stdout}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Process 1 ends with it, and with that all others.
    await this.#unshare.stop("SIGKILL");
    const cgroup = `/sys/fs/cgroup/stsmapd-package.${this.#unshare.pid}`;
    const remove = `mount -t cgroup2 cgroup2 /sys/fs/cgroup && find ${cgroup} -depth -type d -exec rmdir {} +`;
    await eventually(
      "the cgroup to be empty",
      async () => (await run("unshare", ["--mount", "sh", "-c", remove])).code === 0,
    );
    await rm(this.#folder, { recursive: true });
  }

  #enter(): string[] {
    return [
      `--target=${this.#init}`,
      "--mount",
      "--net",
      "--pid",
      "--uts",
      "--ipc",
      "--cgroup",
      // Its own, and not that of a chroot that the tests run in.
      "--root",
      "--wd",
      "--",
    ];
  }
}

/** The only child of `unshare`, as soon as it runs `program`. */
async function processOne(unshare: number, program: string): Promise<string | undefined> {
  const children = await readFile(`/proc/${unshare}/task/${unshare}/children`, "utf8");
  const [pid] = children.trim().split(" ");
  if (pid === undefined || pid === "") return undefined;
  // What the script runs before that is gone as soon as it is seen.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.startsWith(`${program}\0`) ? pid : undefined;
}
