/** Whether Postfix's user may use the unix socket it is told to ask. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { shellWord } from "./commands.ts";
import { ok, problem, skipped, unknown } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { OwnTable } from "./own-table.ts";
import { pathOutside } from "./policy-tables.ts";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Those it is a member of besides. */
  readonly groups: readonly number[];
}

/** A folder on the way, or the socket at its end. */
interface Step {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface SocketFacts {
  readonly socket: string;
  /** `queue_directory` */
  readonly queueFolder: string;
  /** `mail_owner`; undefined where /etc/passwd has no such user. */
  readonly owner: Account | undefined;
  /** From `/` down to the socket, as far as they could be looked at. */
  readonly steps: readonly Step[];
  /** Why there are no more steps. */
  readonly error: string | undefined;
}

/** The account `name` in the texts of /etc/passwd and /etc/group. */
export function accountOf(passwd: string, group: string, name: string): Account | undefined {
  const fields = recordsOf(passwd).find(([entry]) => entry === name);
  if (fields === undefined) return undefined;
  const groups = recordsOf(group)
    .filter(([, , , members = ""]) => members.split(",").includes(name))
    .map(([, , gid]) => Number(gid));
  return { name, uid: Number(fields[2]), gid: Number(fields[3]), groups };
}

function recordsOf(text: string): string[][] {
  return text.split("\n").map((line) => line.split(":"));
}

export async function mailOwner(parameters: Readonly<Record<string, string>>): Promise<Account | undefined> {
  const [passwd, group] = await Promise.all(
    ["/etc/passwd", "/etc/group"].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  return accountOf(passwd ?? "", group ?? "", parameters["mail_owner"] ?? "postfix");
}

/** Undefined where Postfix asks over TCP. */
export async function gatherSocket(
  { server, place }: OwnTable,
  owner: Account | undefined,
): Promise<SocketFacts | undefined> {
  if (server.endpoint.kind !== "unix") return undefined;
  const socket = pathOutside(server.endpoint.path, place);
  const { queueFolder } = place;
  const paths = [socket];
  for (let path = socket; path !== dirname(path); path = dirname(path)) paths.unshift(dirname(path));
  const steps: Step[] = [];
  try {
    for (const path of paths) {
      const { uid, gid, mode } = await stat(path);
      steps.push({ path, uid, gid, mode: mode & 0o7777 });
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { socket, queueFolder, owner, steps, error: reason };
  }
  return { socket, queueFolder, owner, steps, error: undefined };
}

export function judgeSocket(facts: SocketFacts | undefined): Finding {
  if (facts === undefined) return skipped("socket", "Postfix asks over TCP: there are no permissions");
  const { socket, owner, steps, error } = facts;
  if (owner === undefined)
    return unknown("socket", "mail_owner is not in /etc/passwd", "# look at its permissions by hand");
  const last = steps.length - 1;
  const barred = steps.find((step, index) => {
    const isSocket = error === undefined && index === last;
    return !mayUse(step, owner, isSocket ? 0o2 : 0o1);
  });
  if (barred !== undefined && barred.path !== socket) {
    const text = `${owner.name} may not enter ${barred.path} (${describe(barred)}), on the way to ${socket}`;
    const folder = shellWord(barred.path);
    return problem(
      "socket",
      text,
      isMadeBySystemd(barred.path)
        ? moveSocket(barred.path, owner, facts.queueFolder)
        : [`chgrp ${owner.gid} ${folder} && chmod g+x ${folder}`],
    );
  }
  if (error !== undefined) {
    if (error.startsWith("EACCES")) return unknown("socket", `${socket}: ${error}`, "# run this as root");
    return problem("socket", `${socket} is not there: ${error}`, ["systemctl restart stsmapd"]);
  }
  if (barred !== undefined) {
    const text = `${owner.name} may not write to ${socket} (${describe(barred)})`;
    return problem("socket", text, [
      `# stsmapd.yaml: give the listener group: ${owner.gid} and mode: "0660"; the daemon's user has to be in that group:`,
      `usermod -aG ${owner.gid} stsmapd`,
      "systemctl restart stsmapd",
    ]);
  }
  return ok("socket", `${owner.name} may use ${socket}`);
}

/** The unit's StateDirectory= and RuntimeDirectory=, which get their owner and mode anew whenever the daemon starts. */
function isMadeBySystemd(folder: string): boolean {
  return ["/var/lib/stsmapd", "/run/stsmapd"].some((made) => `${folder}/`.startsWith(`${made}/`));
}

/** The way of systemd/README.md: a folder that gives its group to what is made in it. */
function moveSocket(folder: string, owner: Account, queueFolder: string): string[] {
  const place = join(queueFolder, "stsmapd");
  return [
    `# systemd undoes what is changed at ${folder} when the daemon starts: the socket needs a folder of its own`,
    `install -d -o stsmapd -g ${owner.gid} -m 2750 ${shellWord(place)}`,
    ...(place === WRITABLE ? [] : [`systemctl edit stsmapd  # [Service] ReadWritePaths=${place}`]),
    `# stsmapd.yaml: give the listener address: unix:${place}/socketmap; then:`,
    "systemctl restart stsmapd",
    "# run this again: policy-table says how Postfix finds it there",
  ];
}

/** Of Postfix's folders the unit lets the daemon write to this one. */
const WRITABLE = "/var/spool/postfix/stsmapd";

/**
 * Postfix's processes have all groups of their user.
 *
 * @param bit the permission, as it stands for others
 */
function mayUse({ uid, gid, mode }: Step, owner: Account, bit: number): boolean {
  if (owner.uid === 0) return true;
  if (uid === owner.uid) return (mode & (bit << 6)) !== 0;
  if (gid === owner.gid || owner.groups.includes(gid)) return (mode & (bit << 3)) !== 0;
  return (mode & bit) !== 0;
}

function describe({ uid, gid, mode }: Step): string {
  return `mode ${mode.toString(8).padStart(4, "0")}, owner ${uid}, group ${gid}`;
}
