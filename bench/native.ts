/** Compiles what has to be faster than Node, once for each version of its sources. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export type NativeProgram = "load" | "delay" | "trivial-server";

/** Compiled programs and filled stores; may be deleted at any time. */
export const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "stsmapd-bench");

/** The path of the program. Throws when there is no C compiler, or it refuses. */
export function native(name: NativeProgram): string {
  const folder = join(import.meta.dirname, name);
  const sources = existsSync(folder)
    ? readdirSync(folder).map((file) => join(folder, file))
    : [`${folder}.c`];
  const version = createHash("sha256");
  for (const file of sources) version.update(readFileSync(file));
  const program = join(CACHE, `${name}-${version.digest("hex").slice(0, 16)}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const units = sources.filter((file) => file.endsWith(".c"));
  const made = `${program}.${process.pid}`;
  execFileSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", made, ...units], { stdio: "inherit" });
  renameSync(made, program);
  return program;
}
