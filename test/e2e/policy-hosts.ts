import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { once } from "node:events";
import type { CertificateAuthority } from "./certificates.ts";
import { Daemon, eventually } from "./process.ts";

const nginxConfig = (folder: string) => `
daemon off;
pid ${folder}/nginx.pid;
events {}
http {
  log_format requests "$host $request_uri $status";
  access_log ${folder}/access.log requests;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  include ${folder}/hosts/*.conf;
}
`;

interface PolicyHost {
  readonly hostname: string;
  /** Each host has its own, so that taking a host down closes its port. */
  readonly address: string;
  readonly certificate: string;
}

const serverBlocks = (host: PolicyHost, policyFile: string) => `
server {
  listen ${host.address}:443 ssl default_server;
  ssl_reject_handshake on;
}
server {
  listen ${host.address}:443 ssl;
  server_name ${host.hostname};
  ssl_certificate ${host.certificate};
  ssl_certificate_key ${host.certificate};
  location = /.well-known/mta-sts.txt {
    default_type text/plain;
    alias ${policyFile};
  }
}
`;

/** nginx, with one server for each policy host. Who does not send the host's name by SNI is refused. */
export class PolicyHosts {
  readonly #folder: string;
  readonly #authority: CertificateAuthority;
  readonly #hosts = new Map<string, PolicyHost>();
  #nginx: Daemon | undefined;
  #addresses = 0;

  constructor(folder: string, authority: CertificateAuthority) {
    this.#folder = folder;
    this.#authority = authority;
  }

  async start(): Promise<void> {
    await mkdir(`${this.#folder}/hosts`, { recursive: true });
    await writeFile(`${this.#folder}/nginx.conf`, nginxConfig(this.#folder));
    const args = ["-c", `${this.#folder}/nginx.conf`, "-e", "stderr"];
    this.#nginx = await Daemon.start("nginx", args, `${this.#folder}/nginx.log`);
  }

  async stop(): Promise<void> {
    await this.#nginx?.stop();
  }

  /** Lets `hostname` serve `policy`. Returns the address of the host, which stays the same for that name. */
  async publish(hostname: string, policy: string): Promise<string> {
    const host = await this.#host(hostname);
    const policyFile = `${this.#folder}/hosts/${hostname}.txt`;
    await writeFile(policyFile, policy);
    await writeFile(this.#configOf(hostname), serverBlocks(host, policyFile));
    await this.#reload(host, true);
    return host.address;
  }

  /** Takes the host down: connections to it are refused from now on. */
  async takeDown(hostname: string): Promise<void> {
    const host = this.#hosts.get(hostname);
    if (host === undefined) return;
    await rm(this.#configOf(hostname), { force: true });
    await this.#reload(host, false);
  }

  /** How often the policy of `hostname` was handed out so far. */
  async fetches(hostname: string): Promise<number> {
    const log = await readFile(`${this.#folder}/access.log`, "utf8");
    return log.split("\n").filter((line) => line === `${hostname} /.well-known/mta-sts.txt 200`).length;
  }

  async #host(hostname: string): Promise<PolicyHost> {
    const known = this.#hosts.get(hostname);
    if (known !== undefined) return known;
    this.#addresses += 1;
    const certificate = await this.#authority.issue(hostname);
    const host = { hostname, address: `10.53.2.${this.#addresses}`, certificate };
    this.#hosts.set(hostname, host);
    return host;
  }

  #configOf(hostname: string): string {
    return `${this.#folder}/hosts/${hostname}.conf`;
  }

  async #reload(host: PolicyHost, up: boolean): Promise<void> {
    await eventually(`policy host ${host.hostname} to be ${up ? "up" : "down"}`, async () => {
      this.#nginx?.signal("SIGHUP");
      return (await accepts(host.address)) === up;
    });
  }
}

async function accepts(address: string): Promise<boolean> {
  const socket = connect(443, address);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
