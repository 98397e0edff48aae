/** What the command line says of a failure, and the exit status for it. */
import process from "node:process";

import { ConfigError } from "../config.ts";
import { ListenError } from "../server/listen-error.ts";
import { ProxyError } from "../net/policy-host/proxy.ts";
import { TrustedRootsError } from "../net/policy-host/trusted-roots.ts";
import { StoreError } from "../store/store.ts";
import { AdminClientError } from "./admin-client.ts";
import { CommandError } from "./command-error.ts";
import { ExitCode } from "./exit-code.ts";

/** One clear line for what an administrator can mend, a stack trace only for a fault of our own. */
export function reportFailure(error: unknown): number {
  const status = exitCodeFor(error);
  const text = error instanceof Error ? error.message : String(error);
  const detail = status === ExitCode.software && error instanceof Error ? `${error.stack}` : text;
  process.stderr.write(`stsmapd: ${detail}\n`);
  return status;
}

function exitCodeFor(error: unknown): number {
  if (error instanceof ConfigError || error instanceof ProxyError || error instanceof TrustedRootsError) {
    return ExitCode.config;
  }
  if (error instanceof StoreError)
    return error.code === "incompatible" ? ExitCode.config : ExitCode.cannotCreate;
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof AdminClientError)
    return error.code === "denied" ? ExitCode.noPermission : ExitCode.unavailable;
  if (error instanceof ListenError) return ExitCode.unavailable;
  return ExitCode.software;
}
