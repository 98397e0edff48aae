/** Whose rights the rows of a daemon's file are read with; the daemon is a store of this process. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, lchownSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { entry, T0, temporaryFolder } from "../store/entries.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const isRoot = process.geteuid?.() === 0;
const OWNER = { uid: 1, gid: 2 };
const OTHER = 3;

/** Prints the domains, or null where the daemon is to be asked, and who it is afterwards. */
const READER = `
  import Database from "better-sqlite3";
  import { readPagesBeside } from "./src/cli/read-pages-beside.ts";
  const [path, identity] = process.argv.slice(1);
  // Its native code may lie where the file's owner may not look.
  new Database(":memory:").close();
  process.setgroups([0, 4]);
  const pages = readPagesBeside(path, { identity, now: 0 }, {});
  const domains = pages && (await Array.fromAsync(pages)).flat().map(({ domain }) => domain);
  const groups = process.getgroups();
  console.log(JSON.stringify({ domains: domains ?? null, uid: process.geteuid(), gid: process.getegid(), groups }));
`;

function read(path: string, identity: string): unknown {
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", READER, path, identity], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(child.stderr).toBe("");
  return JSON.parse(child.stdout);
}

describe.runIf(isRoot)("root (needs root, to become another)", () => {
  let all: ReturnType<typeof temporaryFolder>;
  let path: string;
  let store: PolicyStore;
  beforeEach(async () => {
    all = temporaryFolder();
    chmodSync(all.path, 0o755);
    const folder = join(all.path, "state");
    path = join(folder, "cache.sqlite");
    store = openStore({ path, now: () => T0, examine: false });
    await store.put(entry("a"));
    for (const name of ["", ...readdirSync(folder)]) chownSync(join(folder, name), OWNER.uid, OWNER.gid);
  });
  afterEach(async () => {
    await store.close();
    all.remove();
  });

  const asOwner = { ...OWNER, groups: [OWNER.gid] };
  const asRoot = { uid: 0, gid: 0, groups: [0, 4] };

  it("reads as the file's owner, without groups of its own", () => {
    expect(read(path, store.identity()!)).toEqual({ domains: ["a"], ...asOwner });
  });

  it("follows a link of somebody else's with his rights, which are not those to the file behind it", () => {
    const link = linkTo(path);
    lchownSync(link, OTHER, OTHER);
    expect(read(link, store.identity()!)).toEqual({ domains: null, ...asRoot });
  });

  it("follows its own link with the rights of the file's owner", () => {
    expect(read(linkTo(path), store.identity()!)).toEqual({ domains: ["a"], ...asOwner });
  });

  it("reads what is its own in somebody else's folder with his rights", () => {
    chownSync(path, 0, 0);
    expect(read(path, store.identity()!)).toEqual({ domains: null, ...asRoot });
  });

  it.each([
    ["the file is another", () => path],
    ["there is no file", () => join(all.path, "none")],
  ])("stays root to ask the daemon, where %s", (_, where) => {
    expect(read(where(), "another")).toEqual({ domains: null, ...asRoot });
  });

  function linkTo(target: string): string {
    mkdirSync(join(all.path, "links"));
    const link = join(all.path, "links", "cache.sqlite");
    symlinkSync(target, link);
    return link;
  }
});
