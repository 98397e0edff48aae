import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { openStore } from "../../src/store/open-store.ts";
import { entry, failure, T0, temporaryFolder } from "./entries.ts";

/** fixtures/version-<n>.sql makes a file as version n left it, with these rows. */
const ROWS = [entry("pinned.example"), entry("failed.example", { pin: undefined, failure: failure() })];

describe("migrations", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, "cache.sqlite");
  });
  afterEach(() => folder.remove());

  const open = () => openStore({ path, now: () => T0 });
  const schema = () => {
    const db = new Database(path, { readonly: true });
    const sql = db.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").all();
    const version = db.pragma("user_version", { simple: true });
    db.close();
    return { sql, version };
  };

  it.each(MIGRATIONS.map((_, index) => index + 1))("keep every row of version %i", async (version) => {
    const db = new Database(path);
    db.exec(readFileSync(new URL(`fixtures/version-${version}.sql`, import.meta.url), "utf8"));
    db.close();
    const store = open();
    for (const row of ROWS) {
      expect(store.get(row.domain)).toEqual(row);
      expect(store.history(row.domain)).toHaveLength(1);
    }
    await store.close();
    const migrated = schema();
    expect(migrated.version).toBe(MIGRATIONS.length);

    path = join(folder.path, "new.sqlite");
    await open().close();
    expect(migrated).toEqual(schema());
  });

  it("make the tables in an empty file, whoever comes first", async () => {
    const stores = [open(), open()];
    await Promise.all(stores.map((store, n) => store.put(entry(`d${n}`))));
    expect(stores[0]?.get("d1")).toBeDefined();
    await Promise.all(stores.map((store) => store.close()));
  });

  it.each([
    [
      "a newer stsmapd",
      "PRAGMA application_id = 0x5354536d; CREATE TABLE t (a); PRAGMA user_version = 9999",
      /^\S+\/cache\.sqlite was written by a newer stsmapd \(version 9999 .* knows \d+\): .*"stsmapd cache export".* move \S+\/cache\.sqlite\* away/,
    ],
    ["another program", "CREATE TABLE t (a)", /another program/],
    ["another program with versions", "CREATE TABLE t (a); PRAGMA user_version = 1", /another program/],
  ])("leave a file of %s untouched", (_, sql, message) => {
    const db = new Database(path);
    db.exec(sql);
    db.close();
    const before = readFileSync(path);
    expect(open).toThrow(
      expect.objectContaining({ code: "incompatible", message: expect.stringMatching(message) }),
    );
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
  });
});
