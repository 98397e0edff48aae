/** `stsmapd config`: the effective configuration. */
import process from "node:process";

import { loadConfig, renderConfig } from "../config.ts";
import { ExitCode } from "./exit-code.ts";

/**
 * Prints the configuration as YAML, passwords masked; what it prints is itself a valid configuration. With `check` it only
 * says what is wrong.
 */
export function config(options: { readonly config?: string; readonly check?: boolean }): number {
  const effective = loadConfig({ path: options.config, env: process.env });
  if (options.check !== true) process.stdout.write(renderConfig(effective));
  return ExitCode.ok;
}
