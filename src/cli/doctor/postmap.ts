/** Whether Postfix's own client gets an answer from every table, since one that fails has mail deferred. */
import process from "node:process";
import { shellWord } from "./commands.ts";
import { ok, problem, skipped, unknown } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { pathOutside } from "./policy-tables.ts";
import type { Place, PolicyTable } from "./policy-tables.ts";
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

/**
 * @param folder that of main.cf; undefined for Postfix's default
 * @param uptime milliseconds that only ever pass
 */
export async function gatherPostmap(
  table: PolicyTable,
  place: Place,
  owner: Account | undefined,
  folder: string | undefined,
  uptime: () => number,
  signal: AbortSignal,
): Promise<PostmapFacts> {
  const text = textOutside(table, place);
  // smtp(8) opens files before it becomes Postfix's user, and connects to servers after. Node gives a process no further groups,
  // so that it could not stand for a user who has some.
  const isLike = owner?.groups.length === 0 && table.server !== undefined;
  const user = process.geteuid?.() === 0 && isLike ? owner : undefined;
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  const option = folder === undefined ? [] : ["-c", folder];
  const start = uptime();
  const result = await runProgram("postmap", [...option, "-q", PROBE_KEY, text], {
    ...identity,
    cwd: "/",
    signal,
  });
  return { table: text, user: user?.name, result, milliseconds: uptime() - start };
}

export function judgePostmap(tables: readonly PostmapFacts[]): Finding {
  if (tables.length === 0) return skipped("postmap", "smtp_tls_policy_maps is empty");
  if (tables.some(({ result }) => result.kind === "missing"))
    return unknown("postmap", "there is no postmap in PATH or /usr/sbin", "# install Postfix's commands");
  const failed = tables.flatMap((facts) => {
    const complaint = complaintOf(facts.result);
    return complaint === undefined ? [] : [{ ...facts, complaint }];
  });
  const [first] = failed;
  if (first === undefined) {
    const said = tables.map((facts) => `${commandOf(facts)} in ${Math.ceil(facts.milliseconds)} ms`);
    return ok("postmap", `answered: ${said.join("; ")}`);
  }
  const said = failed.map((facts) => `${commandOf(facts)}: ${facts.complaint}`).join("; ");
  return problem("postmap", `a table fails, so that Postfix defers mail: ${said}`, [
    "# mend it as daemon, policy-table and socket say above; what is none of ours, by hand",
    `postmap -q ${PROBE_KEY} ${shellWord(first.table)}`,
  ]);
}

/** postmap(1) ends with 1 where there is no entry as well as where it failed, but says only the latter. */
function complaintOf(result: ProgramResult): string | undefined {
  if (result.kind === "missing") return undefined;
  if (result.kind === "failed") return result.reason;
  const [last = ""] = result.stderr.trim().split("\n").slice(-1);
  return last === "" ? undefined : last;
}

function commandOf({ table, user }: PostmapFacts): string {
  return `postmap -q ${PROBE_KEY} ${shellWord(table)}${user === undefined ? "" : ` as ${user}`}`;
}

/** postmap(1) is not chrooted, nor in the queue folder, as smtp(8) is. */
function textOutside({ text, server }: PolicyTable, place: Place): string {
  if (server?.endpoint.kind !== "unix") return text.replace(/^proxy:/, "");
  return `socketmap:unix:${pathOutside(server.endpoint.path, place)}:${server.map}`;
}
