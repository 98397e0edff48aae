/** Searches the file for damage in a process of its own: nothing else ends SQLite's search before its time. */
import { execFile } from "node:child_process";
import { extname } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DamageError } from "./sqlite-error.ts";
import { fileIdentity } from "./sqlite-file.ts";

/** The same program from the checkout (.ts) and from dist/ (.js). */
const PROGRAM = fileURLToPath(new URL(`./quick-check${extname(import.meta.url)}`, import.meta.url));

/**
 * Takes seconds for a million rows, and keeps no write waiting. Rejects with {@link DamageError} where there is damage, with
 * something else where the file could not be searched or `signal` fired.
 */
export async function searchForDamage(path: string, signal: AbortSignal): Promise<void> {
  const identity = fileIdentity(path);
  // Options of the main program, in its environment too, are not meant for this one.
  const options = { signal, killSignal: "SIGKILL", env: {} } as const;
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, path], options);
  if (stdout !== "ok") throw new DamageError(`${path}: ${stdout}`, identity);
}
