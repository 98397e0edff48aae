/** Searches the file for damage in a process of its own: nothing else ends SQLite's search before its time. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
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
  const search = promisify(execFile)(process.execPath, [PROGRAM, path], options);
  offerToKernel(search.child.pid);
  const { stdout } = await search;
  if (stdout !== "ok") throw new DamageError(`${path}: ${stdout}`, identity);
}

/** Where memory runs out Linux ends this process before the daemon, which is larger and would do it all again after its restart. */
function offerToKernel(pid: number | undefined): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "1000");
  } catch {
    // Another system, no /proc, or it has not begun.
  }
}
