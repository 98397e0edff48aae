import { mkdir, readFile, writeFile } from "node:fs/promises";
import { parse } from "yaml";
import { worldFolder } from "./namespaces.ts";
import { Daemon, mustRun } from "./process.ts";

/** That of the unix socket: in the queue folder, open to Postfix and nobody else. */
export const socketFolder = `${worldFolder}/stsmapd`;

const checkout = new URL("../..", import.meta.url).pathname;

/** Our daemon, from the checkout, with a configuration for a world of short times. */
export class Stsmapd {
  readonly folder: string;
  /** As Postfix writes them, without the map name of socketmap. */
  readonly endpoints: {
    readonly inet: string;
    readonly inet6: string;
    readonly unix: string;
    readonly tcp: string;
    /** With the attributes of Postfix 3.10. */
    readonly tcp310: string;
  };
  readonly #trustedRoots: string;
  #daemon: Daemon | undefined;

  constructor(folder: string, trustedRoots: string) {
    this.folder = folder;
    this.#trustedRoots = trustedRoots;
    this.endpoints = {
      inet: "inet:127.0.0.1:8461",
      inet6: "inet:[::1]:8461",
      // Where postfix-examples/ has it.
      unix: `unix:${socketFolder}/socketmap`,
      tcp: "127.0.0.1:8462",
      tcp310: "127.0.0.1:8463",
    };
  }

  async start(): Promise<void> {
    await this.#start({ ...this.#listeners, ...this.#world });
  }

  /** Restarts it, in this world, with the listeners and maps of a stsmapd.yaml, or with the default ones where it is empty. */
  async restartWith(yaml: string): Promise<void> {
    await this.stop();
    await this.#start({ ...this.#world, ...parse(yaml) });
  }

  async #start(configuration: object): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    await mustRun("install", ["-d", "-g", "postfix", "-m", "2750", socketFolder]);
    // JSON is YAML.
    await writeFile(this.configFile, JSON.stringify(configuration, null, 2));
    const readyBefore = await this.#timesReady();
    const args = ["src/main.ts", "serve", "--config", this.configFile];
    this.#daemon = await Daemon.start(process.execPath, args, this.logFile, { cwd: checkout });
    await this.#daemon.ready(async () => (await this.#timesReady()) > readyBefore);
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    await this.#daemon?.stop(signal);
  }

  async restart(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  get configFile(): string {
    return `${this.folder}/stsmapd.yaml`;
  }

  get logFile(): string {
    return `${this.folder}/stsmapd.log`;
  }

  async #timesReady(): Promise<number> {
    const log = await readFile(this.logFile, "utf8").catch(() => "");
    return log.split('"msg":"ready"').length - 1;
  }

  /** What leads a daemon of the same world to its policy hosts, as the beginning of a configuration. */
  networkSettings(): string {
    return `fetch: { ca_file: ${this.#trustedRoots}, allow_addresses: [10.53.0.0/16] }\n`;
  }

  get #listeners(): object {
    return {
      listen: [
        { protocol: "socketmap", address: this.endpoints.inet.replace("inet:", "") },
        { protocol: "socketmap", address: this.endpoints.inet6.replace("inet:", "") },
        { protocol: "socketmap", address: this.endpoints.unix },
        { protocol: "tcp_table", address: this.endpoints.tcp, map: "postfix" },
        { protocol: "tcp_table", address: this.endpoints.tcp310, map: "postfix310" },
      ],
      maps: {
        // Named after what they do with DANE.
        yield: { dane: "yield" },
        "dane-only": { dane: "dane-only" },
        ignore: { dane: "ignore" },
        half: { rollout: "50%" },
        observe: { rollout: "observe" },
      },
    };
  }

  get #world(): object {
    return {
      store: { path: `${this.folder}/cache.sqlite` },
      fetch: { ca_file: this.#trustedRoots, allow_addresses: ["10.53.0.0/16"] },
      dane: { hold_min: "1s" },
      freshness: { recheck_min: "1s", negative_min: "1s", dns_failure: "1s" },
      log: { level: "debug", format: "json" },
    };
  }
}
