/** `stsmapd query`: asks the running daemon as Postfix would. */
import process from "node:process";

import { formatListenAddress } from "../net/listen-address.ts";
import type { ListenAddress } from "../net/listen-address.ts";
import { ExitCode } from "./exit-code.ts";
import { ask, LookupClientError } from "../server/lookup-client.ts";
import type { Question } from "../server/lookup-client.ts";
import { connectOptions, serverToAsk } from "./server-to-ask.ts";

/** A little more than the daemon's own deadline may be set to. */
const TIMEOUT = 95_000;

interface QueryOptions {
  readonly config?: string;
  readonly map: string;
  readonly server?: ListenAddress;
  readonly protocol?: Question["protocol"];
}

const EXIT_CODES: Readonly<Record<string, number>> = {
  OK: ExitCode.ok,
  "200": ExitCode.ok,
  NOTFOUND: ExitCode.noPolicy,
  "500": ExitCode.noPolicy,
};

/** Prints the reply as the protocol words it. */
export async function query(nextHop: string, options: QueryOptions): Promise<number> {
  const { address, protocol } = serverToAsk(options);
  const server = connectOptions(address);
  const key = Buffer.from(nextHop, "utf8").toString("latin1");
  try {
    const reply = await ask({ protocol, server, map: options.map, key, timeout: TIMEOUT });
    process.stdout.write(`${Buffer.from(reply, "latin1").toString("utf8").trimEnd()}\n`);
    const [status = ""] = reply.split(" ", 1);
    return EXIT_CODES[status] ?? ExitCode.unknown;
  } catch (error) {
    if (!(error instanceof LookupClientError)) throw error;
    process.stderr.write(`stsmapd: ${formatListenAddress(address)} (${protocol}): ${error.message}\n`);
    return ExitCode.unavailable;
  }
}
