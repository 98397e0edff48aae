import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore, type OpenStoreOptions } from "../../src/store/open-store.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { describeStore } from "./contract.ts";
import { DAY, entry, HOUR, pin, T0, temporaryFolder } from "./entries.ts";

const shared = temporaryFolder();
let opened = 0;
afterAll(shared.remove);
describeStore("SqliteStore", () =>
  openStore({ path: join(shared.path, `${++opened}.sqlite`), now: () => T0 }),
);

describe("a file", () => {
  const folder = temporaryFolder();
  const stores: PolicyStore[] = [];
  let path: string;

  const open = (options: Partial<OpenStoreOptions> = {}) => {
    const store = openStore({ path, now: () => T0, ...options });
    stores.push(store);
    return store;
  };

  beforeEach(() => {
    path = join(folder.path, String(stores.length), "cache.sqlite");
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
  });
  afterAll(folder.remove);

  it("is made with its folder, for this user only", async () => {
    await open().put(entry("a"));
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    for (const suffix of ["", "-wal", "-shm"]) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  });

  it("holds what was put after close and a new start", async () => {
    const store = open();
    await store.put(entry("a"));
    await store.close();
    expect(open().get("a")).toEqual(entry("a"));
  });

  it("is left without a log when the last store is closed", async () => {
    const store = open();
    await store.put(entry("a"));
    await store.close();
    expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("refuses one bad entry and takes the others of its moment", async () => {
    const store = open();
    const results = await Promise.allSettled([
      store.put(entry("a")),
      store.put(entry("", {})),
      store.put(entry("b", { pin: pin({ fetchedAt: 0.5 }) })),
      store.put(entry("c", { checkedAt: Number.NaN })),
      store.put(entry("d")),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    expect(results[1]).toMatchObject({ reason: { name: "StoreError", code: "invalid" } });
    expect(store.list({}, "", 10).entries).toEqual([entry("a"), entry("d")]);
    expect(store.history("b")).toEqual([]);
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("waits out another process's transaction, then says busy and goes on later", async () => {
    const store = open({ busyTimeout: 20 });
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.put(entry("a"))).rejects.toMatchObject({ code: "busy" });
    expect(store.health()).toMatchObject({ writable: false, lastError: { code: "busy" } });
    other.exec("ROLLBACK");
    other.close();
    await store.put(entry("a"));
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("that could not be read is said to be so until a row was read again", async () => {
    const store = open();
    await store.put(entry("a"));
    const other = new Database(path);
    other.exec("ALTER TABLE domain RENAME TO away");
    expect(() => store.get("a")).toThrow("no such table");
    expect(store.health()).toMatchObject({
      writable: true,
      readable: false,
      lastError: { message: expect.stringContaining("no such table") },
    });
    other.exec("ALTER TABLE away RENAME TO domain");
    other.close();
    store.changedElsewhere();
    store.changedElsewhere();
    expect(store.health(), "to see that nothing has changed takes no row").toMatchObject({ readable: false });
    expect(store.get("a")).toEqual(entry("a"));
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("does not stop the event loop while it waits for the disk", async () => {
    const store = open({ busyTimeout: 10_000 });
    const other = new Database(path);
    other.exec("BEGIN IMMEDIATE");
    const put = store.put(entry("a"));
    let turns = 0;
    while (turns < 100) {
      expect(store.get("a")).toBeUndefined();
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    other.exec("ROLLBACK");
    other.close();
    await put;
    expect(store.get("a")).toBeDefined();
  });

  it("waits but a moment for a locked file that took its place, for that wait stops the event loop", () => {
    const store = open({ busyTimeout: 60_000 });
    const other = new Database(`${path}.other`);
    other.exec("BEGIN EXCLUSIVE; CREATE TABLE t (a)");
    renameSync(`${path}.other`, path);
    expect(() => store.changedElsewhere()).toThrow(expect.objectContaining({ code: "busy" }));
    other.close();
  });

  it("says full when there is no room, reads on, and writes again when there is", async () => {
    const roomy = open();
    await Promise.all(Array.from({ length: 300 }, (_, n) => roomy.put(entry(`d${n}`))));
    await roomy.close();

    const store = open({ maxPages: 1 }); // The file is never cut: this means "not a page more".
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, (_, n) => store.put(entry(`more${n}`))),
    );
    expect(results.every(({ status }) => status === "rejected")).toBe(true);
    expect(results[0]).toMatchObject({ reason: { code: "full" } });
    expect(store.health()).toMatchObject({ writable: false, lastError: { code: "full" } });
    expect(store.get("d7")).toEqual(entry("d7"));
    // What has nothing to write succeeds, and shows nothing.
    expect(await store.rebase(T0)).toBe(0);
    expect(await store.deleteExpired(T0, T0)).toBe(0);
    expect(store.health()).toMatchObject({ writable: false, lastError: { code: "full" } });
    expect(statSync(`${path}-wal`).size).toBeLessThan(5_000_000);

    await Promise.all(Array.from({ length: 200 }, (_, n) => store.delete(`d${n}`)));
    await store.put(entry("late"));
    expect(store.get("late")).toEqual(entry("late"));
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  describe("touch", () => {
    it("is written by close", async () => {
      const store = open();
      await store.put(entry("a"));
      store.touch("a", T0 + DAY);
      await store.close();
      expect(open().get("a")?.usedAt).toBe(T0 + DAY);
    });

    it("is written with the next transaction, the last value of each domain", async () => {
      const store = open();
      await store.put(entry("a"));
      store.touch("a", T0 + DAY);
      store.touch("a", T0 + 2 * DAY);
      await store.put(entry("b"));
      expect(store.get("a")?.usedAt).toBe(T0 + 2 * DAY);
    });

    it("is written after touchDelay without any", async () => {
      const store = open({ touchDelay: 5 });
      await store.put(entry("a"));
      store.touch("a", T0 + DAY);
      await expect.poll(() => store.get("a")?.usedAt).toBe(T0 + DAY);
    });

    it("is not worth a write when it moves usedAt by less than touchStep", async () => {
      const store = open();
      await store.put(entry("a"));
      store.touch("a", T0 + HOUR - 1);
      await store.put(entry("b"));
      expect(store.get("a")?.usedAt).toBe(T0);
    });

    it("makes no row", async () => {
      const store = open();
      store.touch("a", T0);
      await store.put(entry("b"));
      expect(store.get("a")).toBeUndefined();
    });
  });

  describe("shared by two", () => {
    it("shows each what the other writes and deletes, once", async () => {
      const [one, two] = [open(), open()];
      await one.put(entry("a"));
      await two.put(entry("b"));
      expect(one.changedElsewhere()).toEqual(["b"]);
      expect(two.changedElsewhere()).toEqual(["a"]);
      expect(two.get("a")).toEqual(entry("a"));
      expect(two.changedElsewhere()).toEqual([]);

      await two.delete("a");
      expect(one.changedElsewhere()).toEqual(["a"]);
      expect(one.get("a")).toBeUndefined();
      expect(two.changedElsewhere()).toEqual([]);
    });

    it("does not report touches, nor what was there before", async () => {
      const one = open();
      await one.put(entry("a"));
      const two = open();
      one.touch("a", T0 + DAY);
      await one.close();
      expect(two.changedElsewhere()).toEqual([]);
      expect(two.get("a")?.usedAt).toBe(T0 + DAY);
    });

    it("keeps the newer pin, whoever writes last", async () => {
      const [one, two] = [open(), open()];
      const newer = entry("a", { pin: pin({ recordId: "new", fetchedAt: T0 + 1 }) });
      await one.put(newer);
      await two.put(entry("a"));
      expect(one.get("a")?.pin).toEqual(newer.pin);
    });

    it("reports more changes than one look takes in several", async () => {
      const [one, two] = [open(), open()];
      await Promise.all(Array.from({ length: 12_000 }, (_, n) => one.put(entry(`d${n}`))));
      const seen = new Set<string>();
      for (let found = two.changedElsewhere(); found.length > 0; found = two.changedElsewhere()) {
        for (const domain of found) seen.add(domain);
      }
      expect(seen.size).toBe(12_000);
    });

    it("reports rows moved back by a clock that was set back, to whoever did it too", async () => {
      const [one, two] = [open(), open()];
      await one.put(entry("a"));
      await two.rebase(T0 - DAY);
      expect(one.changedElsewhere()).toEqual(["a"]);
      expect(two.changedElsewhere()).toEqual(["a"]);
    });
  });
});
