import { dirname } from "node:path";
import { mustRun } from "../process.ts";

/** The npm that is installed here; the checkout brings a Node of its own, but no npm. */
export interface NpmOfThisMachine {
  /** That of the package `npm`. */
  readonly folder: string;
  /** Where it keeps what it has downloaded. */
  readonly cache: string;
}

export async function npmOfThisMachine(): Promise<NpmOfThisMachine> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: process.env["HOME"] ?? "/root",
    npm_config_cache: process.env["npm_config_cache"] ?? "",
  };
  const program = (await mustRun("sh", ["-c", 'readlink -f "$(command -v npm)"'], { env })).trim();
  const cache = (await mustRun("npm", ["config", "get", "cache"], { env })).trim();
  return { folder: dirname(dirname(program)), cache };
}
