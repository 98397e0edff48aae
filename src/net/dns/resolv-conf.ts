/** The name servers of this machine: /etc/resolv.conf, as resolv.conf(5) has it. */
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import type { DnsServerAddress } from "./transport.ts";

/** More than three are ignored, as libc does. */
const MAX_SERVERS = 3;
/** What libc asks when no server is named. */
const LOCAL_SERVER: DnsServerAddress = { host: "127.0.0.1", port: 53 };

export interface ResolvConf {
  /** At least one. */
  readonly servers: readonly DnsServerAddress[];
  /** `options trust-ad`: the administrator trusts these servers, and the way to them, with the AD bit. */
  readonly trustAd: boolean;
}

/** Parses the text of resolv.conf. What it does not know, or cannot read, it skips, as libc does. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: DnsServerAddress[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line.trim().split(/[ \t]+/);
    if (keyword === "options") options.push(...values);
    const host = values[0] ?? "";
    if (keyword === "nameserver" && isIP(host) !== 0 && servers.length < MAX_SERVERS) {
      servers.push({ host, port: 53 });
    }
  }
  return {
    servers: servers.length > 0 ? servers : [LOCAL_SERVER],
    trustAd: options.includes("trust-ad"),
  };
}

/** resolv.conf on disk, read again when it changes. */
export class ResolvConfFile {
  readonly #path: string;
  #conf: ResolvConf = parseResolvConf("");
  #version = "";

  constructor(path = "/etc/resolv.conf") {
    this.#path = path;
  }

  /**
   * What the file says now. Costs one stat(2) while it stays the same. A file that cannot be read leaves the last one in
   * force, at the start the server on 127.0.0.1. Never throws.
   */
  current(): ResolvConf {
    try {
      const { mtimeNs, ino, size } = statSync(this.#path, { bigint: true });
      const version = `${mtimeNs} ${ino} ${size}`;
      if (version !== this.#version) {
        this.#conf = parseResolvConf(readFileSync(this.#path, "latin1"));
        this.#version = version;
      }
    } catch {
      // The rule above; the next call tries again.
    }
    return this.#conf;
  }
}
