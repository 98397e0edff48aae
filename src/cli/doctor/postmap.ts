/** Whether Postfix's own client gets an answer, as Postfix's user where we may be that. */
import process from "node:process";
import { shellWord } from "./commands.ts";
import { ok, problem, unknown } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { OwnTable } from "./own-table.ts";
import { pathOutside } from "./policy-tables.ts";
import { runProgram } from "./run-program.ts";
import type { ProgramResult } from "./run-program.ts";
import type { Account } from "./socket-access.ts";

export interface PostmapFacts {
  readonly table: string;
  /** The user it ran as; undefined: whoever runs doctor. */
  readonly user: string | undefined;
  readonly result: ProgramResult;
  readonly milliseconds: number;
}

/** A key that is no domain: answered at once, without DNS. */
export const PROBE_KEY = "localhost";

/** @param uptime milliseconds that only ever pass */
export async function gatherPostmap(
  own: OwnTable,
  owner: Account | undefined,
  folder: string | undefined,
  uptime: () => number,
  signal: AbortSignal,
): Promise<PostmapFacts> {
  const table = tableOutside(own);
  const user = process.geteuid?.() === 0 ? owner : undefined;
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  const option = folder === undefined ? [] : ["-c", folder];
  const start = uptime();
  const result = await runProgram("postmap", [...option, "-q", PROBE_KEY, table], {
    ...identity,
    cwd: "/",
    signal,
  });
  return { table, user: user?.name, result, milliseconds: uptime() - start };
}

export function judgePostmap({ table, user, result, milliseconds }: PostmapFacts): Finding {
  const command = `postmap -q ${PROBE_KEY} ${shellWord(table)}`;
  const who = user === undefined ? "" : ` as ${user}`;
  if (result.kind === "missing")
    return unknown("postmap", "there is no postmap in PATH or /usr/sbin", `# run by hand: ${command}`);
  if (result.kind === "failed")
    return unknown("postmap", `${command}: ${result.reason}`, `# run by hand: ${command}`);
  // postmap(1) ends with 1 where there is no entry, and where it failed, which it says on standard error.
  const complaint = result.stderr.trim().split("\n").at(-1) ?? "";
  if (complaint !== "")
    return problem("postmap", `${command}${who}: ${complaint}`, [
      "# see what daemon and socket say, above",
      "systemctl status stsmapd",
    ]);
  return ok("postmap", `${command}${who}: answered within ${Math.ceil(milliseconds)} ms`);
}

/** postmap(1) is not chrooted, nor in the queue folder, as smtp(8) is. */
function tableOutside({ server: { endpoint, map }, table, place }: OwnTable): string {
  if (endpoint.kind === "unix") return `socketmap:unix:${pathOutside(endpoint.path, place)}:${map}`;
  return table.text.replace(/^proxy:/, "");
}
