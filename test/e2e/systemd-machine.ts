import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { worldFolder } from "./namespaces.ts";
import { Daemon, eventually, mustRun, type Result, run } from "./process.ts";

const checkout = join(import.meta.dirname, "../..");

/** Ours among those of the kernel, which namespaces do not hide. */
const cgroupName = `stsmapd-e2e.${randomUUID()}`;

/** What this machine lacks for the real systemd as process 1 of a namespace; undefined when it can run. */
export async function missingForSystemd(): Promise<string | undefined> {
  const found = await run("test", ["-x", "/lib/systemd/systemd"]);
  if (found.code !== 0) return "there is no systemd: apt-get install --no-install-recommends systemd";
  const probe = 'mount -t cgroup2 cgroup2 /mnt && mkdir "/mnt/try.$$" && rmdir "/mnt/try.$$"';
  const cgroup = await run("unshare", ["--mount", "sh", "-c", probe]);
  return cgroup.code === 0 ? undefined : `no cgroup can be made here: ${cgroup.stderr.trim()}`;
}

/**
 * The real systemd as process 1 of namespaces of its own, in a copy of this machine that has stsmapd installed with the
 * units of `systemd/`. It shares our network and `worldFolder`. To be started inside the suite's namespaces.
 */
export class SystemdMachine {
  readonly #folder: string;
  readonly #daemon: Daemon;
  /** How to get into it. */
  readonly #enter: readonly string[];

  private constructor(folder: string, daemon: Daemon, pid: string) {
    this.#folder = folder;
    this.#daemon = daemon;
    // With its root: in a chroot the namespace has another one.
    this.#enter = ["-t", pid, "-m", "-p", "-i", "-u", "-C", "-r", "-w"];
  }

  /** Resolves when systemd takes commands. `folder` is made, and holds all that it writes. */
  static async start(folder: string): Promise<SystemdMachine> {
    const cgroups = `${folder}/cgroups`;
    await mkdir(cgroups, { recursive: true });
    await mustRun("mount", ["-t", "cgroup2", "cgroup2", cgroups]);
    const build = [`${checkout}/node_modules/rolldown/bin/cli.mjs`, "-c", "--log-level", "warn"];
    await mustRun(process.execPath, [...build, "--dir", `${folder}/dist`], { cwd: checkout });

    // A cgroup namespace begins at the cgroup of who makes it.
    const ownCgroup = `mkdir "$0" && echo $$ >"$0/cgroup.procs" && exec "$@"`;
    const namespaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"];
    const init = [`${checkout}/test/e2e/systemd-machine.sh`, folder, checkout, process.execPath, worldFolder];
    const daemon = await Daemon.start(
      "sh",
      ["-c", ownCgroup, `${cgroups}/${cgroupName}`, "unshare", ...namespaces, "sh", ...init],
      `${folder}/systemd.log`,
    );
    let machine: SystemdMachine | undefined;
    await daemon.ready(async () => {
      const children = await readFile(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8");
      if (children === "") return false;
      machine = new SystemdMachine(folder, daemon, children.trim());
      const { stdout } = await machine.run("systemctl", ["is-system-running"]);
      return stdout.trim() === "running";
    });
    if (machine === undefined) throw new Error("systemd has no process");
    return machine;
  }

  /** Runs a command in it. */
  run(command: string, args: readonly string[]): Promise<Result> {
    return run("nsenter", [...this.#enter, command, ...args]);
  }

  /** Runs a command that has to succeed, and returns what it printed. */
  mustRun(command: string, args: readonly string[], input = ""): Promise<string> {
    return mustRun("nsenter", [...this.#enter, command, ...args], { input });
  }

  /** Runs `systemctl`, which has to succeed, and returns what it printed. */
  systemctl(...args: readonly string[]): Promise<string> {
    return this.mustRun("systemctl", args);
  }

  /** One property of a unit. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.systemctl("show", unit, "--property", name, "--value")).trim();
  }

  /** Waits until the service has told systemd this status. A client may have its answer a little before. */
  async reports(status: string): Promise<void> {
    await eventually(status, async () => (await this.property("stsmapd.service", "StatusText")) === status);
  }

  /** The log of stsmapd, and what systemd says of it. */
  async log(): Promise<string> {
    return (await this.run("journalctl", ["--no-pager", "-o", "cat", "-u", "stsmapd.service"])).stdout;
  }

  /** Writes a file in it, with its folders. */
  async write(path: string, text: string): Promise<void> {
    const script = 'mkdir -p "$(dirname "$0")" && cat >"$0"';
    await this.mustRun("sh", ["-c", script, path], text);
  }

  /** A drop-in for a unit, in force when this returns. */
  async dropIn(unit: string, text: string): Promise<void> {
    await this.write(`/etc/systemd/system/${unit}.d/test.conf`, text);
    await this.systemctl("daemon-reload");
  }

  /** Ends everything in it, and keeps its journal with the other logs of the suite. */
  async stop(): Promise<void> {
    const journal = await this.run("journalctl", ["--no-pager"]);
    await writeFile(`${this.#folder}/journal.log`, journal.stdout);
    await this.#daemon.stop("SIGKILL");
    const ours = `${this.#folder}/cgroups/${cgroupName}`;
    await eventually("the cgroups to be removed", async () => {
      await run("find", [ours, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]);
      return (await run("test", ["-e", ours])).code !== 0;
    });
    await run("umount", [`${this.#folder}/cgroups`]);
  }
}
