/** The cache file: whole, of a version we know, and writable for the daemon. Read only; nothing is made beside it. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import Database from "better-sqlite3";
import { freeSpace } from "../../store/free-space.ts";
import { APPLICATION_ID, MIGRATIONS } from "../../store/migrations.ts";
import { shellWord } from "./commands.ts";
import { ok, problem, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";

export type CacheFacts =
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "unreadable"; readonly path: string; readonly reason: string; readonly denied: boolean }
  | ({ readonly kind: "read"; readonly path: string } & CacheContent);

interface CacheContent {
  /** Permission bits of the file. */
  readonly mode: number;
  /** Whether the file's owner may make files beside it, as SQLite has to. */
  readonly folderWritable: boolean;
  /** Whether nothing but the cache and the daemon's sockets is in the folder. */
  readonly folderIsOwn: boolean;
  readonly ours: boolean;
  /** Of the tables. */
  readonly version: number;
  /** What SQLite found wrong; undefined: nothing, `not searched`: the file is too large for that. */
  readonly damage: string | undefined;
  readonly searched: boolean;
  readonly entries: number;
  /** Milliseconds since 1970. */
  readonly newestEntry: number | undefined;
  /** Damaged files that were put aside. */
  readonly setAside: readonly string[];
}

/** Bytes; searching takes about a second for each 500 MiB. */
const MAX_SEARCHED = 512 * 2 ** 20;

export function gatherCache(path: string): CacheFacts {
  try {
    const file = statSync(path, { throwIfNoEntry: false });
    if (file === undefined) return { kind: "missing", path };
    const folder = statSync(dirname(path));
    const bit = folder.uid === file.uid ? 0o300 : folder.gid === file.gid ? 0o030 : 0o003;
    const prefix = `${basename(path)}.damaged-`;
    const neighbours = readdirSync(dirname(path), { withFileTypes: true });
    return {
      kind: "read",
      path,
      mode: file.mode & 0o777,
      folderWritable: file.uid === 0 || (folder.mode & bit) === bit,
      folderIsOwn: neighbours.every((entry) => entry.name.startsWith(basename(path)) || entry.isSocket()),
      setAside: neighbours
        .map(({ name }) => name)
        .filter((name) => name.startsWith(prefix) && !/-(?:wal|shm)$/.test(name))
        .map((name) => join(dirname(path), name)),
      ...readContent(path, file.size),
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return {
      kind: "unreadable",
      path,
      reason,
      denied: /^EACCES|^EPERM|^SQLITE_CANTOPEN|^SQLITE_READONLY/.test(code),
    };
  }
}

function readContent(
  path: string,
  size: number,
): Pick<CacheContent, "ours" | "version" | "damage" | "searched" | "entries" | "newestEntry"> {
  const db = openUntouched(path, size);
  try {
    const ours = db.pragma("application_id", { simple: true }) === APPLICATION_ID;
    const version = Number(db.pragma("user_version", { simple: true }));
    const searched = size <= MAX_SEARCHED;
    const found = searched ? String(db.pragma("quick_check(1)", { simple: true })) : "ok";
    const damage = found === "ok" ? undefined : found.replaceAll("\n", " ");
    const isReadable = ours && damage === undefined && version <= MIGRATIONS.length;
    const row = isReadable
      ? db
          .prepare<[], { n: number; newest: number | null }>(
            "SELECT count(*) n, max(fetched_at) newest FROM domain",
          )
          .get()
      : undefined;
    return { ours, version, damage, searched, entries: row?.n ?? 0, newestEntry: row?.newest ?? undefined };
  } finally {
    db.close();
  }
}

/**
 * SQLite makes log and index beside a file in WAL mode, even to read it. While the daemon runs both are there; where there is
 * no log the file is all there is, and a copy in memory, marked as one without a log (file format §1.3.3), will do.
 */
function openUntouched(path: string, size: number): Database.Database {
  if (existsSync(`${path}-wal`) || size > MAX_SEARCHED || size < 100)
    return new Database(path, { readonly: true });
  const copy = readFileSync(path);
  copy.fill(1, 18, 20);
  return new Database(copy);
}

export function judgeCache(facts: CacheFacts): Finding {
  const { path } = facts;
  switch (facts.kind) {
    case "missing":
      return warning("cache", `there is no ${path}`, [
        "systemctl start stsmapd",
        "# or name the daemon's configuration by --config",
      ]);
    case "unreadable":
      if (facts.denied) return unknown("cache", `${path}: ${facts.reason}`, "# run this as root");
      return problem("cache", `${path}: ${facts.reason}`, RESTART);
    case "read":
      break;
  }
  const { mode, folderWritable, folderIsOwn, ours, version, damage, searched, entries, setAside } = facts;
  if (damage !== undefined) return problem("cache", `${path} is damaged: ${damage}`, RESTART);
  if (!ours && version !== 0)
    return problem("cache", `${path} is another program's database`, [
      "# stsmapd.yaml: name another store: path:",
    ]);
  if (version > MIGRATIONS.length)
    return problem(
      "cache",
      `${path} was written by a newer stsmapd (version ${version} of the tables, this one knows ${MIGRATIONS.length})`,
      [
        '# install that one again, for good or to run "stsmapd cache export"',
        `# or begin with nothing: systemctl stop stsmapd, move ${path}* away, and start it again`,
      ],
    );
  if (!folderWritable) {
    const folder = shellWord(dirname(path));
    return problem("cache", `its owner may not write to ${folder}`, [
      folderIsOwn
        ? `chown --reference=${shellWord(path)} ${folder} && chmod 0700 ${folder}`
        : "# stsmapd.yaml: store: path: in a folder of the daemon's own, for others use this one; stop it and move the file there",
    ]);
  }
  if ((mode & 0o077) !== 0)
    return warning("cache", `${path} has mode 0${mode.toString(8)}: others may read or write it`, [
      `chmod 0600 ${shellWord(path)}`,
    ]);
  if (setAside.length > 0)
    return warning("cache", `it was damaged once: ${setAside.join(", ")}`, [
      "# look for the reason (journalctl -u stsmapd -p warning; smartctl), then:",
      `rm ${setAside
        .flatMap((name) => [name, `${name}-wal`, `${name}-shm`])
        .map(shellWord)
        .join(" ")} 2>/dev/null`,
    ]);
  return ok(
    "cache",
    `${path}: ${entries} domains${searched ? "" : ", too large to be searched for damage here"}`,
  );
}

const RESTART = ["systemctl restart stsmapd  # sets it aside, and carries over what can be read"];

/** Bytes: SQLite's log alone needs 4 MiB (docs/durability.md). */
const LITTLE = 100 * 2 ** 20;
const TOO_LITTLE = 10 * 2 ** 20;

export async function judgeDisk(path: string): Promise<Finding> {
  return judgeFreeSpace(path, await freeSpace(path));
}

/** @param free bytes */
export function judgeFreeSpace(path: string, free: number | undefined): Finding {
  const folder = dirname(path);
  if (free === undefined)
    return unknown("disk", `what is free at ${folder} cannot be told`, `df -h ${shellWord(folder)}`);
  const text = `${Math.floor(free / 2 ** 20)} MiB free at ${folder}`;
  const mend = [
    `df -h ${shellWord(folder)}`,
    "# make room: new policies are not kept while the disk is full",
  ];
  if (free < TOO_LITTLE) return problem("disk", text, mend);
  return free < LITTLE ? warning("disk", text, mend) : ok("disk", text);
}
