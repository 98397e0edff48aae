import { mkdir, readFile } from "node:fs/promises";
import { Daemon, eventually, type Result, run } from "../process.ts";
import type { Image } from "./build.ts";

/** What has to be mounted before the program starts: the tree to be read only, and what every container gets. */
const mounts = `
set -e
mount --bind "$IMAGE" "$ROOT"
mount -o remount,bind,ro "$ROOT"
for volume in $VOLUMES; do mount --bind "$DATA$volume" "$ROOT$volume"; done
mount --bind /etc/resolv.conf "$ROOT/etc/resolv.conf"
mount --bind /dev "$ROOT/dev"
mount --bind "$SHARED" "$ROOT/mnt"
mount -o remount,bind,ro "$ROOT/mnt"
mount -t proc proc "$ROOT/proc"
exec chroot "$ROOT" "$@"
`;

/** The image, run as `docker run --read-only --cap-drop ALL --security-opt no-new-privileges --network host` does. */
export class Container {
  readonly #image: Image;
  readonly #folder: string;
  readonly #shared: string;
  readonly #env: Readonly<Record<string, string>>;
  #process: Daemon | undefined;

  /** `folder` holds the volumes, which outlive the container. `shared`: `-v …:/mnt:ro`. `env`: what `-e` adds. */
  constructor(image: Image, folder: string, shared: string, env: Readonly<Record<string, string>>) {
    this.#image = image;
    this.#folder = folder;
    this.#shared = shared;
    this.#env = env;
  }

  /** Starts entrypoint and command as process 1 of a namespace. `args` take the place of the command. */
  async start(args: readonly string[] = this.#image.cmd): Promise<void> {
    await mkdir(this.#root, { recursive: true });
    for (const volume of this.#image.volumes) await this.#makeVolume(volume);
    const { entrypoint, volumes, folder } = this.#image;
    const isolated = ["--pid", "--fork", "--kill-child", "--mount", "sh", "-c", mounts, "container"];
    const env = {
      IMAGE: folder,
      ROOT: this.#root,
      DATA: this.#folder,
      SHARED: this.#shared,
      VOLUMES: volumes.join(" "),
    };
    const command = [...isolated, ...this.#asUser(), ...entrypoint, ...args];
    this.#process = await Daemon.start("unshare", command, this.logFile, { env });
  }

  /** Process 1 of the container, by the number it has here. */
  async processId(): Promise<number> {
    return eventually("process 1 of the container", async () => {
      const parent = this.#process?.pid;
      const children = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8");
      return children === "" ? undefined : Number(children);
    });
  }

  /** Sends the signal to process 1, as `docker stop` does, and returns the exit status and the milliseconds it took. */
  async stop(signal: NodeJS.Signals): Promise<{ code: number | null; duration: number }> {
    const started = performance.now();
    process.kill(await this.processId(), signal);
    const code = await this.ended();
    return { code, duration: performance.now() - started };
  }

  /** Ends it at once, if it runs. */
  async kill(): Promise<void> {
    if (this.#process?.running) await this.stop("SIGKILL");
  }

  /** Waits until it has ended, and returns the exit status. */
  async ended(): Promise<number | null> {
    return (await this.#process?.ended()) ?? null;
  }

  /** `docker exec`. */
  async exec(command: readonly string[]): Promise<Result> {
    const target = ["--target", String(await this.processId()), "--mount", "--pid", "--root", "--wd"];
    return run("nsenter", [...target, ...this.#asUser(), ...command]);
  }

  /** What the image's HEALTHCHECK says now: its exit status and output. */
  healthcheck(): Promise<Result> {
    return this.exec(this.#image.healthcheck);
  }

  async log(): Promise<string> {
    return readFile(this.logFile, "utf8");
  }

  get logFile(): string {
    return `${this.#folder}/container.log`;
  }

  get #root(): string {
    return `${this.#folder}/root`;
  }

  /** A new volume begins with what the image has in its place. */
  async #makeVolume(path: string): Promise<void> {
    const made = await run("cp", ["-a", "--parents", `.${path}`, this.#folder], { cwd: this.#image.folder });
    if (made.code !== 0) throw new Error(made.stderr);
  }

  /** A command that replaces itself by what follows, in the image's environment and nothing else. */
  #asUser(): string[] {
    const [uid, gid] = this.#image.user.split(":");
    const account = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
    const privileges = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
    const env = Object.entries({ ...Object.fromEntries(this.#image.env), ...this.#env });
    const variables = env.map(([name, value]) => `${name}=${value}`);
    return ["setpriv", ...account, ...privileges, "env", "-i", "-C", this.#image.workdir, ...variables];
  }
}
