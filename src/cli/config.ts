/** `stsmapd config`: the effective configuration. */
import process from "node:process";

import { loadConfig, renderConfig } from "../config.ts";
import { ExitCode } from "./exit-code.ts";

/** Prints the configuration as YAML, passwords masked; what it prints is itself a valid configuration. */
export function config(options: { readonly config?: string }): number {
  process.stdout.write(renderConfig(loadConfig({ path: options.config, env: process.env })));
  return ExitCode.ok;
}
