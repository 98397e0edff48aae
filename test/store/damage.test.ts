import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore, type SetAsideReport } from "../../src/store/open-store.ts";
import { salvage } from "../../src/store/salvage.ts";
import { openFile } from "../../src/store/sqlite-file.ts";
import { SqliteStore } from "../../src/store/sqlite-store.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { entry, pin, T0, temporaryFolder } from "./entries.ts";

const ROWS = 3000;
const ASIDE = "cache.sqlite.damaged-2026-11-21T22-04-05Z";

/** How many rows there are, each as it was put. */
function kept(store: PolicyStore): number {
  const { entries } = store.list({}, "", 2 * ROWS);
  for (const found of entries) expect(found).toEqual(entry(found.domain));
  return entries.length;
}

/** Of the process whose command line ends so. */
function oomScoreAdjustment(commandLine: string): number | undefined {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").endsWith(commandLine))
        return Number(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"));
    } catch {
      // It has ended.
    }
  }
  return undefined;
}

describe("a damaged file", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  let reports: SetAsideReport[];
  let unsearched: unknown[];
  let stores: PolicyStore[];

  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, "cache.sqlite");
    reports = [];
    unsearched = [];
    stores = [];
  });
  afterEach(async () => {
    for (const store of stores) await store.close();
    folder.remove();
  });

  const onSetAside = (report: SetAsideReport) => reports.push(report);
  const onUnsearched = (error: unknown) => unsearched.push(error);
  const open = (examine = true) => {
    const store = openStore({ path, now: () => T0, examine, onSetAside });
    stores.push(store);
    return store;
  };
  const openSqlite = () => {
    const options = { touchDelay: 60_000, touchStep: 3_600_000, busyTimeout: 5_000 };
    const store = new SqliteStore({ path, now: () => T0, onSetAside, onUnsearched, ...options });
    stores.push(store);
    return store;
  };
  const fill = async () => {
    const store = open(false);
    await Promise.all(Array.from({ length: ROWS }, (_, n) => store.put(entry(`d${n}.example`))));
    await store.close();
  };
  const overwrite = (pages: readonly number[]) => {
    const file = openSync(path, "r+");
    for (const page of pages) writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, (page - 1) * 4096);
    closeSync(file);
  };
  /** Overwrites the pages of all indices of `domain`; the table stays whole. */
  const spoilIndices = () => {
    const db = new Database(path, { readonly: true });
    const pages = db
      .prepare<[], number>("SELECT pageno FROM dbstat WHERE name IN ('domain_due', 'domain_mode')")
      .pluck()
      .all();
    db.close();
    overwrite(pages);
  };
  /** Overwrites the pages of the table `domain` from the `first` leaf on; indices stay whole. */
  const spoilLeaves = (first: number, number: number) => {
    const db = new Database(path, { readonly: true });
    const pages = db
      .prepare<[], number>("SELECT pageno FROM dbstat WHERE name = 'domain' AND pagetype = 'leaf'")
      .pluck()
      .all();
    db.close();
    overwrite(pages.slice(first, first + number));
  };

  it.each([
    [
      "garbage",
      () => writeFileSync(path, "this is not a database, but long enough to be looked at ".repeat(40)),
    ],
    ["a few bytes", () => writeFileSync(path, "SQLite")],
  ])("that is %s is set aside, and the store starts empty", async (_, spoil) => {
    spoil();
    const size = statSync(path).size;
    const store = open();
    expect(reports).toEqual([{ setAside: join(folder.path, ASIDE), salvaged: 0 }]);
    expect(statSync(join(folder.path, ASIDE)).size).toBe(size);
    await store.put(entry("a"));
    expect(store.get("a")).toEqual(entry("a"));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder.path).filter((name) => /salvage|lock/.test(name))).toEqual([]);
  });

  it("that was cut short is set aside with what stands before the cut carried over", async () => {
    await fill();
    truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
    const store = open();
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    expect(reports[0]?.salvaged).toBe(kept(store));
    expect(reports[0]?.salvaged).toBeGreaterThan(ROWS / 10);
  });

  it.each([
    ["what is due is counted", (store: PolicyStore) => store.backlog(T0 + 7 * 86_400_000 - 1, 0, 10, 0)],
    ["the rows are counted", (store: PolicyStore) => store.counts(T0)],
  ])("is replaced when it is found while %s", async (_, read) => {
    await fill();
    const store = open(false);
    spoilIndices();
    await expect(read(store)).rejects.toMatchObject({ code: "corrupt" });
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    await store.put(entry("new.example"));
    expect(store.get("new.example")).toBeDefined();
  });

  it("is found by the search after the start, and all rows on sound pages are carried over", async () => {
    await fill();
    spoilLeaves(20, 3);
    const store = open();
    expect(reports).toEqual([]);
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    const rows = kept(store);
    expect(reports[0]).toEqual({ setAside: join(folder.path, ASIDE), salvaged: rows });
    expect(rows).toBeLessThan(ROWS);
    expect(rows).toBeGreaterThan(ROWS - 60);
    expect(store.history("d0.example")).toHaveLength(1);
    await store.put(entry("new.example"));
    expect(store.get("new.example")).toBeDefined();
  });

  it("is not searched to the end by a store that is closed, which loses no write", async () => {
    await fill();
    spoilLeaves(20, 3);
    const store = openSqlite();
    const examined = store.examine();
    const put = store.put(entry("last.example"));
    await store.close();
    await examined;
    await put;
    expect(reports).toEqual([]);
    const again = openSqlite();
    expect(again.get("last.example")).toBeDefined();
    await again.examine();
    expect(reports).toHaveLength(1);
  });

  it.skipIf(process.platform !== "linux")(
    "a search under way is ended with the store, and before the daemon where memory runs out (needs Linux's /proc)",
    async () => {
      const store = openSqlite();
      rmSync(path);
      // Whoever opens it waits for a writer.
      execFileSync("mkfifo", [path]);
      const examined = store.examine();
      await expect.poll(() => oomScoreAdjustment(`quick-check.ts\0${path}\0`)).toBe(1000);
      await store.close();
      await examined;
      expect(unsearched).toEqual([]);
      // Nobody waits for a process that was killed.
      await expect.poll(() => oomScoreAdjustment(`quick-check.ts\0${path}\0`)).toBeUndefined();
    },
  );

  it("may go unnoticed where the file cannot be searched, and that is said", async () => {
    const store = openSqlite();
    rmSync(path);
    await store.examine();
    expect(unsearched).toEqual([expect.objectContaining({ message: expect.stringContaining(path) })]);
    expect(reports).toEqual([]);
  });

  it("that a read stumbles over is replaced although a search is under way that will not find it", async () => {
    const before = open(false);
    for (const domain of ["a", "b", "c"]) await before.put(entry(domain));
    await before.close();
    renumberLastRow(path);
    const store = openSqlite();
    const examined = store.examine();
    expect(() => store.get("c")).toThrow(expect.objectContaining({ code: "corrupt" }));
    await examined;
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
  });

  it("that a write stumbles over is replaced, and the write done", async () => {
    await fill();
    spoilLeaves(20, 3);
    const store = open(false);
    const puts = Array.from({ length: ROWS }, (_, n) => store.put(entry(`d${n}.example`)));
    await Promise.all(puts);
    expect(reports).toHaveLength(1);
    expect(kept(store)).toBe(ROWS);
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("that a read stumbles over is replaced although the search would not find the damage", async () => {
    const before = open(false);
    for (const domain of ["a", "b", "c"]) await before.put(entry(domain));
    await before.close();
    renumberLastRow(path);
    const store = open(false);
    expect(() => store.get("c")).toThrow(expect.objectContaining({ code: "corrupt" }));
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    expect(store.get("c")).toEqual(entry("c"));
  });

  describe("that takes the path while the store is open", () => {
    const GARBAGE = "this is not a database, but long enough to be looked at ".repeat(40);
    const moveIn = () => {
      writeFileSync(`${path}.garbage`, GARBAGE);
      renameSync(`${path}.garbage`, path);
    };

    it.each([
      [
        "look for changes",
        async (store: PolicyStore) => expect(() => store.changedElsewhere()).toThrow("not a database"),
      ],
      ["put", (store: PolicyStore) => store.put(entry("b"))],
      ["search for what has expired", (store: PolicyStore) => store.deleteExpired(T0, T0)],
    ])("is set aside by the next %s, and puts go on", async (_, find) => {
      const store = open();
      await store.put(entry("a"));
      moveIn();
      await find(store);
      await expect
        .poll(() => reports, { timeout: 15_000 })
        .toEqual([{ setAside: join(folder.path, ASIDE), salvaged: 0 }]);
      expect(existsSync(join(folder.path, ASIDE))).toBe(true);
      await store.put(entry("c"));
      expect(store.get("c")).toEqual(entry("c"));
      expect(store.health()).toEqual({ writable: true, readable: true });
      expect(() => store.changedElsewhere()).not.toThrow();
    });
  });

  it("that a read stumbles over is replaced in the background", async () => {
    await fill();
    spoilLeaves(0, 100);
    const store = open(false);
    expect(() => store.get("d0.example")).toThrow(expect.objectContaining({ code: "corrupt" }));
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    expect(store.get("d0.example")).toBeUndefined();
  });

  it("is replaced once when two stores have it open, and both go on with the new one", async () => {
    await fill();
    spoilLeaves(20, 3);
    const [one, two] = [open(), open()];
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    await one.put(entry("one.example"));
    await two.put(entry("two.example"));
    one.changedElsewhere();
    two.changedElsewhere();
    expect(one.get("two.example")).toBeDefined();
    expect(two.get("one.example")).toBeDefined();
    expect(
      readdirSync(folder.path).filter(
        (name) => name.includes("damaged") && !name.endsWith("-wal") && !name.endsWith("-shm"),
      ),
    ).toEqual([ASIDE]);
    await one.close();
    await two.close();
    const again = open();
    expect(again.get("one.example")).toBeDefined();
    expect(again.get("two.example")).toBeDefined();
  });

  it("is reported row by row to who has it open, and then what comes later", async () => {
    const bulk = open(false);
    await Promise.all(Array.from({ length: 12_000 }, (_, n) => bulk.put(entry(`d${n}.example`))));
    await bulk.close();
    spoilLeaves(20, 3);
    const [one, two] = [open(false), open(false)];
    // What a write stumbles over is replaced.
    await Promise.all(Array.from({ length: 600 }, (_, n) => one.put(entry(`d${n}.example`))));
    expect(reports).toHaveLength(1);
    const seen = new Set<string>();
    for (let look = 0; look < 10; look++) for (const domain of two.changedElsewhere()) seen.add(domain);
    expect(seen.size).toBeGreaterThan(11_900);
    await one.put(entry("later.example"));
    expect(two.changedElsewhere()).toEqual(["later.example"]);
  });

  it("whose policy text does not agree with its columns is not carried over", async () => {
    const store = open(false);
    await store.put(entry("sound.example"));
    await store.put(entry("odd.example", { pin: pin({ text: "another page's bytes" }) }));
    await store.close();
    spoilFreeList(path);
    const found = open();
    await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
    expect(reports[0]?.salvaged).toBe(1);
    expect(found.get("sound.example")).toBeDefined();
    expect(found.get("odd.example")).toBeUndefined();
  });

  describe("is replaced with the DANE states", () => {
    const states = ["none", "some", "all", "insecure-mx"] as const;
    const fillWithStates = async () => {
      const store = open(false);
      await Promise.all(states.map((kind) => store.put(entry(`${kind}.example`), kind)));
      await store.put(entry("odd.example", { pin: pin({ text: "another page's bytes" }) }));
      await store.noteDane("odd.example", "all");
      await store.close();
    };
    /** The row that is not carried over, put anew, has no state either. */
    const statesFound = async () => {
      const store = open();
      await expect.poll(() => reports.length, { timeout: 15_000 }).toBe(1);
      expect(reports[0]?.salvaged).toBe(states.length);
      await store.put(entry("odd.example"));
      expect(store.lastDane("odd.example")).toBeUndefined();
      return states.map((kind) => store.lastDane(`${kind}.example`));
    };

    it("of the domains carried over", async () => {
      await fillWithStates();
      spoilFreeList(path);
      expect(await statesFound()).toEqual(states);
    });

    it("lost, and the policies not, where they cannot be read", async () => {
      await fillWithStates();
      const db = new Database(path, { readonly: true });
      const page = db
        .prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'dane'")
        .pluck()
        .get();
      db.close();
      const file = openSync(path, "r+");
      writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, ((page ?? 0) - 1) * 4096);
      closeSync(file);
      expect(await statesFound()).toEqual(states.map(() => undefined));
    });

    it("lost, and the policies not, where their table is missing", async () => {
      await fillWithStates();
      const db = new Database(path);
      db.exec("DROP TRIGGER dane_gone; DROP TABLE dane");
      db.close();
      const fresh = openFile({ path: join(folder.path, "fresh.sqlite"), busyTimeout: 0 });
      expect(salvage(path, fresh)).toBe(states.length);
      expect(fresh.prepare("SELECT count(*) FROM dane").pluck().get()).toBe(0);
      fresh.close();
    });
  });

  it("that is empty beside a log with content is not taken for a new one", () => {
    writeFileSync(path, "");
    writeFileSync(`${path}-wal`, Buffer.alloc(5000, 1));
    open();
    expect(reports).toHaveLength(1);
    expect(statSync(join(folder.path, `${ASIDE}-wal`)).size).toBe(5000);
  });
});

/** Names a page beyond the end as the first of the free list: quick_check sees it, and every row can be read. */
function spoilFreeList(path: string): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.from([0, 0, 0xff, 0xff, 0, 0, 0, 1]), 0, 8, 32);
  closeSync(file);
}

/**
 * Gives the last row of the table `domain` another id, so that the index leads nowhere. The rows must fit on one page.
 * File format, §1.6: behind a header of 8 bytes stand the offsets of the cells; a cell is two varints, size and id, and the row.
 */
function renumberLastRow(path: string): void {
  const db = new Database(path, { readonly: true });
  const root = db
    .prepare<[], number>("SELECT rootpage FROM sqlite_schema WHERE name = 'domain'")
    .pluck()
    .get();
  db.close();
  const start = ((root ?? 0) - 1) * 4096;
  const bytes = readFileSync(path);
  const cells = bytes.readUInt16BE(start + 3);
  let at = start + bytes.readUInt16BE(start + 8 + 2 * (cells - 1));
  while (bytes.readUInt8(at) >= 0x80) at++;
  bytes.writeUInt8(bytes.readUInt8(at + 1) + 1, at + 1);
  writeFileSync(path, bytes);
}
