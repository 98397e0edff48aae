import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { once } from "node:events";
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
    await mkdir(this.folder, { recursive: true });
    await mustRun("install", ["-d", "-g", "postfix", "-m", "2750", socketFolder]);
    // JSON is YAML.
    await writeFile(this.configFile, JSON.stringify(this.#configuration(), null, 2));
    const args = ["src/main.ts", "serve", "--config", this.configFile];
    this.#daemon = await Daemon.start(process.execPath, args, this.logFile, { cwd: checkout });
    await this.#daemon.ready(() => accepts(8461));
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

  #configuration(): object {
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
      store: { path: `${this.folder}/cache.sqlite` },
      fetch: { ca_file: this.#trustedRoots, allow_addresses: ["10.53.0.0/16"] },
      dane: { hold_min: "1s" },
      freshness: { recheck_min: "1s", negative_min: "1s", dns_failure: "1s" },
      log: { level: "debug", format: "json" },
    };
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
