/** Runs another program to its end. */
import { execFile } from "node:child_process";
import process from "node:process";

export type ProgramResult =
  | { readonly kind: "ended"; readonly code: number; readonly stdout: string; readonly stderr: string }
  /** There is no such program. */
  | { readonly kind: "missing" }
  /** It could not be run, or was stopped by the signal. */
  | { readonly kind: "failed"; readonly reason: string };

export interface ProgramOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  /** Whose process it is to be; only root may say. */
  readonly uid?: number;
  readonly gid?: number;
}

/** Bytes of output that are read. */
const MAX_OUTPUT = 4 * 2 ** 20;

/** Postfix's commands are there for root only, in `PATH` as most distributions have it. */
const MORE_PATH = "/usr/sbin:/usr/local/sbin:/sbin";

/** Never rejects. Output is in English. */
export function runProgram(
  name: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const { PATH = "/usr/bin:/bin", ...rest } = process.env;
  const env = { ...rest, PATH: `${PATH}:${MORE_PATH}`, LC_ALL: "C" };
  return new Promise((resolve) => {
    const settings = { ...options, env, maxBuffer: MAX_OUTPUT, killSignal: "SIGKILL" as const };
    const child = execFile(name, args, settings, (error, stdout, stderr) => {
      if (error === null) resolve({ kind: "ended", code: 0, stdout, stderr });
      else if (typeof error.code === "number") resolve({ kind: "ended", code: error.code, stdout, stderr });
      else if (error.code === "ENOENT") resolve({ kind: "missing" });
      else
        resolve({
          kind: "failed",
          reason: options.signal.aborted ? "it did not end in time" : error.message,
        });
    });
    child.stdin?.end();
  });
}
