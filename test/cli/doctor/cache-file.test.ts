/** A cache file, whole and broken in each way, and that nothing is changed by looking. */
import {
  chmodSync,
  closeSync,
  openSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, it } from "vitest";
import { gatherCache, judgeCache } from "../../../src/cli/doctor/cache-file.ts";
import { openStore } from "../../../src/store/open-store.ts";
import { entry, pin, T0, temporaryFolder } from "../../store/entries.ts";

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(async () => {
  folder = temporaryFolder();
  path = join(folder.path, "cache.sqlite");
  const store = openStore({ path, now: () => T0 });
  await store.put(entry("a.example"));
  await store.put(entry("b.example", { pin: pin({ fetchedAt: T0 + 5_000 }) }));
  await store.close();
});
afterEach(() => folder.remove());

const judge = () => judgeCache(gatherCache(path));

function edit(sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

function overwrite(offset: number, text: string): void {
  const file = openSync(path, "r+");
  writeSync(file, text, offset);
  closeSync(file);
}

it("is ok, and no file is made beside it", () => {
  const before = readdirSync(folder.path).map((name) => [name, statSync(join(folder.path, name)).mtimeMs]);
  expect(judge()).toMatchObject({ status: "ok", found: `${path}: 2 domains` });
  expect(gatherCache(path)).toMatchObject({ newestEntry: T0 + 5_000 });
  expect(readdirSync(folder.path).map((name) => [name, statSync(join(folder.path, name)).mtimeMs])).toEqual(
    before,
  );
});

it("is ok while a daemon has it open, with what its log has", async () => {
  const store = openStore({ path, now: () => T0 });
  await store.put(entry("c.example"));
  expect(judge()).toMatchObject({ status: "ok", found: `${path}: 3 domains` });
  await store.close();
});

it.each<[what: string, harm: () => void, status: string, found: string]>([
  ["cut off", () => truncateSync(path, 20_000), "problem", "malformed"],
  ["damaged in a page", () => overwrite(4_096, "y".repeat(4_096)), "problem", "damaged"],
  ["no database", () => writeFileSync(path, "x".repeat(5_000)), "problem", "not a database"],
  ["another program's", () => edit("PRAGMA application_id = 1"), "problem", "another program's"],
  ["a newer version's", () => edit("PRAGMA user_version = 99"), "problem", "newer stsmapd (version 99 of"],
  ["open to others", () => chmodSync(path, 0o644), "warning", "mode 0644"],
  [
    "set aside once",
    () => writeFileSync(`${path}.damaged-2026-01-01T00-00-00Z`, ""),
    "warning",
    "damaged once",
  ],
  ["missing", () => folder.remove(), "warning", "there is no"],
])("that is %s: found", (_, harm, status, found) => {
  harm();
  const finding = judge();
  expect(finding).toMatchObject({ status, found: expect.stringContaining(found) });
  expect(finding.mend).not.toEqual([]);
});

it("in a folder its owner may not write to is a problem", () => {
  const facts = gatherCache(path);
  if (facts.kind !== "read") throw new Error("could not be read");
  const finding = judgeCache({ ...facts, folderWritable: false });
  expect(finding.status).toBe("problem");
  expect(finding.mend[0]).toContain("chown");
});

it("in a folder that others use is not to be taken from them", () => {
  writeFileSync(join(folder.path, "dpkg.status"), "");
  const facts = gatherCache(path);
  if (facts.kind !== "read") throw new Error("could not be read");
  expect(judgeCache({ ...facts, folderWritable: false }).mend).toEqual([expect.stringMatching(/^# /)]);
});
