/** `stsmapd health`: whether the running daemon answers, in an exit status; for the health check of a container. */
import process from "node:process";

import { formatListenAddress } from "../net/listen-address.ts";
import { ExitCode } from "./exit-code.ts";
import { ask, LookupClientError } from "../server/lookup-client.ts";
import { connectOptions, serverToAsk } from "./server-to-ask.ts";

/** Milliseconds; the answer needs no DNS, and Docker's own limit should not be what ends the wait. */
const TIMEOUT = 4_000;

/** A single label is no domain: the answer is "not found", at once, whatever the state of DNS and of the cache. */
const KEY = "localhost";

/** Asks the first listener of the configuration as Postfix would. Prints nothing unless something is wrong. */
export async function health({ config }: { readonly config?: string }): Promise<number> {
  const { address, protocol } = serverToAsk({ config });
  const where = `stsmapd: ${formatListenAddress(address)} (${protocol})`;
  try {
    const server = connectOptions(address);
    const reply = await ask({ protocol, server, map: "postfix", key: KEY, timeout: TIMEOUT });
    if (/^(?:NOTFOUND|500) /.test(reply)) return ExitCode.ok;
    process.stderr.write(`${where}: "${reply.trimEnd()}" is not the answer of a daemon at work\n`);
  } catch (error) {
    if (!(error instanceof LookupClientError)) throw error;
    process.stderr.write(`${where}: ${error.message}\n`);
  }
  return ExitCode.unavailable;
}
