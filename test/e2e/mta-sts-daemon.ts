import { mkdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { once } from "node:events";
import { Daemon, run } from "./process.ts";

const port = 8465;

/** Debian's package postfix-mta-sts-resolver, as configured there: its cache is a SQLite file. */
export class MtaStsDaemon {
  /** As Postfix writes it. */
  readonly map = `socketmap:inet:127.0.0.1:${port}:postfix`;
  readonly #folder: string;
  readonly #trustedRoots: string;
  #daemon: Daemon | undefined;

  constructor(folder: string, trustedRoots: string) {
    this.#folder = folder;
    this.#trustedRoots = trustedRoots;
  }

  static async isInstalled(): Promise<boolean> {
    return (await run("sh", ["-c", "command -v mta-sts-daemon"])).code === 0;
  }

  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const cache = { type: "sqlite", options: { filename: `${this.#folder}/cache.db` } };
    // JSON is YAML.
    await writeFile(`${this.#folder}/config.yml`, JSON.stringify({ port, cache }));
    this.#daemon = await Daemon.start(
      "mta-sts-daemon",
      ["-c", `${this.#folder}/config.yml`],
      `${this.#folder}/mta-sts-daemon.log`,
      { env: { SSL_CERT_FILE: this.#trustedRoots } },
    );
    await this.#daemon.ready(accepts);
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop("SIGKILL");
  }
}

async function accepts(): Promise<boolean> {
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
