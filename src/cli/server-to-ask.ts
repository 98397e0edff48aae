/** Which listener of the daemon a command asks. */
import type { NetConnectOpts } from "node:net";
import process from "node:process";

import { ConfigError, loadConfig } from "../config.ts";
import type { ListenAddress } from "../net/listen-address.ts";
import type { Question } from "../server/lookup-client.ts";

interface Choice {
  /** The configuration file, where one was named. */
  readonly config?: string | undefined;
  /** What was named on the command line goes before the configuration. */
  readonly server?: ListenAddress | undefined;
  readonly protocol?: Question["protocol"] | undefined;
}

export interface ServerToAsk {
  readonly address: ListenAddress;
  readonly protocol: Question["protocol"];
}

/** The server that was named, else the first listener configured, or the first of that protocol. Throws {@link ConfigError}. */
export function serverToAsk({ config, server, protocol }: Choice): ServerToAsk {
  if (server !== undefined) return { address: server, protocol: protocol ?? "socketmap" };
  const { listen } = loadConfig({ path: config, env: process.env });
  const wanted = listen.filter((candidate) => protocol === undefined || candidate.protocol === protocol);
  for (const { address, protocol: spoken } of wanted) {
    if (address.kind !== "systemd") return { address, protocol: spoken };
  }
  const problem =
    wanted.length > 0
      ? "listen: systemd alone knows where its sockets are (systemctl list-sockets): name one by --server"
      : "listen: no such listener: name one by --server";
  throw new ConfigError("invalid", [problem]);
}

export function connectOptions(address: ListenAddress): NetConnectOpts {
  return address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
}
