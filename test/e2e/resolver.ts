import { mkdir, readFile, writeFile } from "node:fs/promises";
import { Resolver as DnsClient } from "node:dns/promises";
import { nameServerAddress } from "./name-server.ts";
import { Daemon, mustRun } from "./process.ts";

/** What /etc/resolv.conf of the world names. */
const resolverAddress = "127.0.0.1";

interface ResolverOptions {
  /** Where it listens. */
  readonly address?: string;
  readonly validates?: boolean;
}

/** Unbound: a caching resolver, by default validating, that starts at the root of the world. */
export class Resolver {
  readonly #folder: string;
  readonly #address: string;
  readonly #modules: string;
  #unbound: Daemon | undefined;

  constructor(folder: string, { address = resolverAddress, validates = true }: ResolverOptions = {}) {
    this.#folder = folder;
    this.#address = address;
    this.#modules = validates ? "validator iterator" : "iterator";
  }

  /** `trustAnchor`: DS record of the root. */
  async start(trustAnchor: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeFile(`${this.#folder}/root.hints`, `. NS ns.example.\nns.example. A ${nameServerAddress}\n`);
    await writeFile(
      this.#config,
      `
server:
  directory: "${this.#folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  log-queries: yes
  interface: ${this.#address}
  do-ip6: no
  module-config: "${this.#modules}"
  root-hints: "${this.#folder}/root.hints"
  trust-anchor: "${trustAnchor}"
  # A signature ends when it says so.
  val-sig-skew-min: 0
  val-sig-skew-max: 0
remote-control:
  control-enable: yes
  control-interface: ${this.#folder}/control
  control-use-cert: no
`,
    );
    await this.resume();
  }

  /** Starts the resolver with an empty cache, after `start` or a `stop`. */
  async resume(): Promise<void> {
    const client = new DnsClient({ timeout: 500, tries: 1 });
    client.setServers([this.#address]);
    this.#unbound = await Daemon.start("unbound", ["-d", "-c", this.#config], this.#log);
    await this.#unbound.ready(() =>
      client.resolve4("ns.example").then(
        () => true,
        () => false,
      ),
    );
  }

  async stop(): Promise<void> {
    await this.#unbound?.stop();
  }

  /** Forgets all it knows about a domain and the names below. */
  async flush(domain: string): Promise<void> {
    await mustRun("unbound-control", ["-c", this.#config, "flush_zone", domain]);
  }

  /** How often `name` was asked for so far, by anybody. */
  async queries(name: string, type: string): Promise<number> {
    const log = await readFile(this.#log, "utf8");
    return log.split(` ${name}. ${type} IN`).length - 1;
  }

  get #config(): string {
    return `${this.#folder}/unbound.conf`;
  }

  get #log(): string {
    return `${this.#folder}/unbound.log`;
  }
}
