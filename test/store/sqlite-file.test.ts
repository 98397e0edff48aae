import { join } from "node:path";
import { expect, it } from "vitest";
import { openFile } from "../../src/store/sqlite-file.ts";
import { temporaryFolder } from "./entries.ts";

it("is opened so that a commit outlives a loss of power, which the prebuilt SQLite does not by itself", () => {
  const folder = temporaryFolder();
  const db = openFile({ path: join(folder.path, "cache.sqlite"), busyTimeout: 0 });
  const inForce = (name: string): unknown => db.pragma(name, { simple: true });
  expect([inForce("journal_mode"), inForce("synchronous")]).toEqual(["wal", 2]);
  db.close();
  folder.remove();
});
