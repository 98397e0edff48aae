import { mkdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { Daemon, eventually, type Result, run } from "./process.ts";

/** Settings of main.cf, in order. */
export type Settings = Readonly<Record<string, string>>;

const commonSettings = (folder: string): Settings => ({
  compatibility_level: "3.6",
  queue_directory: `${folder}/queue`,
  data_directory: `${folder}/data`,
  maillog_file: `${folder}/mail.log`,
  inet_protocols: "all",
  mydestination: "",
  alias_maps: "",
  alias_database: "",
});

/** The services every instance has; their columns are those of master(5). */
const commonServices = `
pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
tlsmgr    unix  -  -  n  1000? 1  tlsmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
proxywrite unix -  -  n  -     1  proxymap
smtp      unix  -  -  n  -     -  smtp
relay     unix  -  -  n  -     -  smtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
virtual   unix  -  n  n  -     -  virtual
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
`;

/** One Postfix with its own configuration, queue and log; the machine's own Postfix is not touched. */
export class PostfixInstance {
  readonly folder: string;
  readonly #settings: Settings;
  readonly #root: string;
  #master: Daemon | undefined;

  /** `folder` is made, and holds all that the instance writes. `root`: the root folder that has the Postfix. */
  constructor(folder: string, settings: Settings, root = "/") {
    this.folder = folder;
    this.#root = root;
    this.#settings = { ...commonSettings(folder), ...settings };
  }

  /** Starts the instance, again too; `services` are further lines of master.cf. */
  async start(services = ""): Promise<void> {
    await mkdir(this.configFolder, { recursive: true });
    // Postfix makes the rest, with the right owners.
    await mkdir(`${this.folder}/queue`, { recursive: true });
    await this.configure("");
    await writeFile(`${this.configFolder}/master.cf`, commonServices + services);
    const mark = (await this.logLines()).length;
    this.#master = await Daemon.start(
      "chroot",
      [this.#root, "postfix", "start-fg"],
      `${this.folder}/master.log`,
      { env: this.#env },
    );
    await this.#master.ready(async () =>
      (await this.logLines(mark)).some((line) => line.includes("daemon started")),
    );
  }

  async stop(): Promise<void> {
    if (this.#master?.running) await this.command("postfix", ["abort"]);
    await this.#master?.stop();
  }

  /** Writes main.cf: the lines of `fragment`, and the settings of this instance that it does not replace. */
  async configure(fragment: string): Promise<void> {
    const replaced = new Set(fragment.match(/^\w+(?=\s*=)/gmu));
    const kept = Object.entries(this.#settings).filter(([name]) => !replaced.has(name));
    const lines = kept.map(([name, value]) => `${name} = ${value}\n`);
    const file = `${this.configFolder}/main.cf`;
    // A process of Postfix that starts now is not to read half of it.
    await writeFile(`${file}.next`, `${lines.join("")}${fragment}`);
    await rename(`${file}.next`, file);
    await this.settle();
  }

  /** Postfix waits for seconds before it trusts a main.cf that has just been written. */
  async settle(): Promise<void> {
    await utimes(`${this.configFolder}/main.cf`, 0, 0);
  }

  /** Makes the running instance read main.cf again. */
  async reload(): Promise<void> {
    const mark = (await this.logLines()).length;
    await this.command("postfix", ["reload"]);
    await eventually("postfix to reload", async () =>
      (await this.logLines(mark)).some((line) => /master\[\d+\]: reload/u.test(line)),
    );
  }

  /** Runs one of Postfix's commands on this instance. */
  command(name: string, args: readonly string[], input = ""): Promise<Result> {
    return run("chroot", [this.#root, name, ...args], { env: this.#env, input });
  }

  /** Lines of the log from line number `from` on. */
  async logLines(from = 0): Promise<string[]> {
    const text = await readFile(`${this.folder}/mail.log`, "utf8").catch(() => "");
    return text.split("\n").slice(0, -1).slice(from);
  }

  get configFolder(): string {
    return `${this.folder}/etc`;
  }

  get #env(): Record<string, string> {
    return { MAIL_CONFIG: this.configFolder };
  }
}
