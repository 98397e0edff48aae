import { access, chmod, cp, mkdir, readFile, symlink } from "node:fs/promises";
import { basename, posix } from "node:path";
import { bookwormFolder } from "../bookworm.ts";
import { mustRun } from "../process.ts";
import { execForm, type Instruction, readDockerfile, type Stage, words } from "./dockerfile.ts";
import { type NpmOfThisMachine, npmOfThisMachine } from "./npm.ts";

const checkout = new URL("../../..", import.meta.url).pathname;
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What the Dockerfile makes: a tree, and how it is to be run. */
export interface Image {
  readonly folder: string;
  readonly base: string;
  readonly env: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly volumes: readonly string[];
  readonly workdir: string;
  /** `uid:gid`, as numbers. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: readonly string[];
}

/**
 * Does what `docker build` does with the checkout's Dockerfile, as far as it uses instructions, without an engine and without a
 * network: base images are a Debian 12 of debootstrap's, packages come from npm's cache, where `npm ci` has put them.
 * Everything is written below `folder`, on overlays. `args`: --build-arg.
 */
export async function buildImage(folder: string, args: Readonly<Record<string, string>>): Promise<Image> {
  const npm = await npmOfThisMachine();
  const built = new Map<string | undefined, Image>();
  let last: Image | undefined;
  for (const stage of readDockerfile(await readFile(`${checkout}/Dockerfile`, "utf8"))) {
    const root = await overlay(bookwormFolder, `${folder}/${stage.name ?? "final"}`);
    await providesBase(stage, root, npm);
    last = await new Build(root, stage, built, args).run();
    built.set(stage.name, last);
  }
  if (last === undefined) throw new Error("the Dockerfile has no FROM");
  return last;
}

/** Makes `root` what the base image is. */
async function providesBase({ base }: Stage, root: string, npm: NpmOfThisMachine): Promise<void> {
  if (base === "debian:bookworm-slim") return;
  if (base !== "node:24-bookworm-slim") throw new Error(`no such base image here: ${base}`);
  const modules = `${root}/usr/local/lib/node_modules`;
  await mkdir(modules, { recursive: true });
  await cp(process.execPath, `${root}/usr/local/bin/node`);
  await cp(npm.folder, `${modules}/npm`, { recursive: true });
  await symlink("../lib/node_modules/npm/bin/npm-cli.js", `${root}/usr/local/bin/npm`);
  // Over a copy of its own: npm writes to its cache.
  const cache = await overlay(npm.cache, `${root}.npm`);
  await mkdir(`${root}/root/.npm`);
  await mustRun("mount", ["--bind", cache, `${root}/root/.npm`]);
  await mustRun("mount", ["--bind", "/proc", `${root}/proc`]);
}

/** A tree that has all of `lower` and takes what is written, below `folder`. */
async function overlay(lower: string, folder: string): Promise<string> {
  const [upper, work, root] = [`${folder}/upper`, `${folder}/work`, `${folder}/root`];
  for (const part of [upper, work, root]) await mkdir(part, { recursive: true });
  await chmod(upper, 0o755);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  await mustRun("mount", ["-t", "overlay", "overlay", "-o", options, root]);
  return root;
}

/** One stage. An instruction that the Dockerfile does not use yet is an error here. */
class Build {
  readonly #root: string;
  readonly #stage: Stage;
  readonly #built: ReadonlyMap<string | undefined, Image>;
  readonly #args: Readonly<Record<string, string>>;
  readonly #env = new Map([["PATH", SEARCH_PATH]]);
  readonly #declared = new Set<string>();
  readonly #labels = new Map<string, string>();
  readonly #volumes: string[] = [];
  readonly #commands = new Map<string, string[]>();
  #workdir = "/";
  #user = "0:0";

  constructor(
    root: string,
    stage: Stage,
    built: ReadonlyMap<string | undefined, Image>,
    args: Readonly<Record<string, string>>,
  ) {
    this.#root = root;
    this.#stage = stage;
    this.#built = built;
    this.#args = args;
  }

  async run(): Promise<Image> {
    for (const instruction of this.#stage.instructions) await this.#do(instruction);
    return {
      folder: this.#root,
      base: this.#stage.base,
      env: this.#env,
      labels: this.#labels,
      volumes: this.#volumes,
      workdir: this.#workdir,
      user: this.#user,
      entrypoint: this.#commands.get("ENTRYPOINT") ?? [],
      cmd: this.#commands.get("CMD") ?? [],
      healthcheck: this.#commands.get("HEALTHCHECK") ?? [],
    };
  }

  async #do(instruction: Instruction): Promise<void> {
    const { keyword, text, pairs } = instruction;
    switch (keyword) {
      case "WORKDIR":
        this.#workdir = text;
        await mkdir(`${this.#root}${text}`, { recursive: true });
        break;
      case "COPY":
        await this.#copy(instruction);
        break;
      case "RUN":
        await this.#shell(text);
        break;
      case "ENV":
        for (const [name, value] of pairs) this.#env.set(name, value);
        break;
      case "ARG":
        this.#declared.add(text);
        break;
      case "LABEL":
        for (const [name, value] of pairs) this.#labels.set(name, this.#expand(value));
        break;
      case "USER":
        this.#user = text;
        break;
      case "VOLUME":
        this.#volumes.push(...words(instruction));
        break;
      case "ENTRYPOINT":
      case "CMD":
      case "HEALTHCHECK":
        this.#commands.set(keyword, execForm(instruction));
        break;
      case "EXPOSE":
        break;
      default:
        throw new Error(`${keyword} cannot be done here`);
    }
  }

  async #copy(instruction: Instruction): Promise<void> {
    const { flags } = instruction;
    const from = flags.get("from");
    if (flags.size > (from === undefined ? 0 : 1))
      throw new Error(`COPY ${instruction.text}: unknown option`);
    const source = from === undefined ? undefined : this.#built.get(from)?.folder;
    if (from !== undefined && source === undefined) throw new Error(`there is no stage ${from}`);
    const paths = words(instruction);
    const target = posix.resolve(this.#workdir, paths.pop() ?? "");
    const intoFolder = paths.length > 1 || instruction.text.trim().endsWith("/");
    for (const path of paths) {
      const to = intoFolder ? `${target}/${basename(path)}` : target;
      const origin = source === undefined ? await contextPath(path) : `${source}${path}`;
      await cp(origin, `${this.#root}${to}`, { recursive: true, verbatimSymlinks: true });
    }
  }

  async #shell(script: string): Promise<void> {
    const env = { ...Object.fromEntries(this.#env), HOME: "/root", npm_config_offline: "true" };
    const command = `cd "$0" && ${script}`;
    await mustRun("chroot", [this.#root, "/bin/sh", "-c", command, this.#workdir], { env });
  }

  #expand(value: string): string {
    return value.replaceAll(/\$(\w+)/gu, (_, name: string) => {
      if (!this.#declared.has(name)) throw new Error(`there is no ARG ${name}`);
      return this.#args[name] ?? "";
    });
  }
}

/** A file or folder of the checkout that .dockerignore lets pass. */
async function contextPath(path: string): Promise<string> {
  const lines = (await readFile(`${checkout}/.dockerignore`, "utf8")).split("\n");
  const [first, ...rules] = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (first !== "*" || !rules.includes(`!${path}`)) throw new Error(`.dockerignore keeps ${path} back`);
  await access(`${checkout}/${path}`);
  return `${checkout}/${path}`;
}
