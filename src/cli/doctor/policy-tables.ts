/** `smtp_tls_policy_maps`: the tables in it, and which of them is this daemon. */
import { join } from "node:path";
import ipaddr from "ipaddr.js";
import type { Listener } from "../../config.ts";
import type { ListenAddress } from "../../net/listen-address.ts";
import type { KnownListener } from "./listening.ts";

/** A table as main.cf writes it. */
export interface PolicyTable {
  readonly text: string;
  /** Asked through proxymap(8). */
  readonly proxied: boolean;
  /** Undefined for a table that asks no server of ours: a file, another type. */
  readonly server: PolicyServer | undefined;
}

export interface PolicyServer {
  readonly protocol: Listener["protocol"];
  /** A relative path is one in the queue folder. */
  readonly endpoint: ListenAddress;
  /** The map name; tcp_table has none. */
  readonly map: string | undefined;
}

/** Where a process of Postfix looks for a path. */
export interface Place {
  readonly queueFolder: string;
  readonly chroot: boolean;
}

/** Splits at commas and white space that no brace holds together, and reads each table. */
export function parsePolicyTables(text: string): PolicyTable[] {
  const tables: string[] = [];
  let depth = 0;
  let table = "";
  for (const char of `${text} `) {
    if (depth === 0 && /[\s,]/.test(char)) {
      if (table !== "") tables.push(table);
      table = "";
      continue;
    }
    if (char === "{") depth += 1;
    if (char === "}") depth -= 1;
    table += char;
  }
  return tables.map((written) => {
    const proxied = written.startsWith("proxy:");
    return { text: written, proxied, server: parseServer(written.replace(/^proxy:/, "")) };
  });
}

function parseServer(text: string): PolicyServer | undefined {
  const unix = /^socketmap:unix:(?<path>.+):(?<map>[^:]+)$/.exec(text)?.groups;
  if (unix?.["path"] !== undefined)
    return { protocol: "socketmap", endpoint: { kind: "unix", path: unix["path"] }, map: unix["map"] };
  const inet =
    /^(?:socketmap:inet|(?<tcp>tcp)):(?<host>\[[^\]]*\]|[^:]*):(?<port>\d+)(?::(?<map>[^:]+))?$/.exec(
      text,
    )?.groups;
  const { tcp, host = "", port, map } = inet ?? {};
  if (port === undefined || (tcp === undefined) !== (map !== undefined)) return undefined;
  return {
    protocol: tcp === undefined ? "socketmap" : "tcp_table",
    endpoint: { kind: "tcp", host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) },
    map,
  };
}

/** The path on this machine of what a process of Postfix calls `path`: it runs in the queue folder, and may be locked in. */
export function pathOutside(path: string, { queueFolder, chroot }: Place): string {
  return path.startsWith("/") && !chroot ? path : join(queueFolder, path);
}

/** The listener that a question to `server` reaches. */
export function listenerOf(
  server: PolicyServer,
  listeners: readonly KnownListener[],
  place: Place,
): KnownListener | undefined {
  const { protocol, endpoint } = server;
  return listeners.find(
    (listener) => listener.protocol === protocol && isSame(endpoint, listener.address, place),
  );
}

function isSame(asked: ListenAddress, listening: ListenAddress, place: Place): boolean {
  if (asked.kind === "unix")
    return listening.kind === "unix" && pathOutside(asked.path, place) === join(listening.path);
  if (listening.kind === "unix" || asked.port !== listening.port) return false;
  const there = new Set(addressesOf(listening.host));
  // A wildcard takes what is meant for any address of this machine; whether it is one, the question itself shows.
  if (there.has("0.0.0.0") || there.has("::")) return true;
  return addressesOf(asked.host).some((address) => there.has(address));
}

/** Whether it is asked over a unix socket or loopback. */
export function isOnThisMachine({ endpoint }: PolicyServer): boolean {
  if (endpoint.kind === "unix") return true;
  return addressesOf(endpoint.host).every(
    (address) => ipaddr.isValid(address) && ipaddr.parse(address).range() === "loopback",
  );
}

/** One spelling for each address. Of names only `localhost` is known without asking anybody. */
export function addressesOf(host: string): string[] {
  if (host.toLowerCase() === "localhost") return ["127.0.0.1", "::1"];
  return [ipaddr.isValid(host) ? ipaddr.process(host).toString() : host.toLowerCase()];
}
