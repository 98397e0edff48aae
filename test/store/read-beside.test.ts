/** A daemon's file, read by another process; the daemon is a store of this one. */
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import { readBeside, type FileBeside } from "../../src/store/read-beside.ts";
import { fileIdentity, sharedIdentity } from "../../src/store/sqlite-file.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { entry, failure, pin, T0, temporaryFolder } from "./entries.ts";

const all = temporaryFolder();
afterAll(all.remove);

let folder: string;
let path: string;
let store: PolicyStore;
let opened = 0;
beforeEach(async () => {
  folder = join(all.path, String(++opened));
  path = join(folder, "cache.sqlite");
  store = openStore({ path, now: () => T0, examine: false });
  await Promise.all(["a", "b", "c"].map((domain) => store.put(entry(domain))));
});
afterEach(() => store.close());

function open(): FileBeside {
  const file = readBeside(path, store.identity()!);
  expect(file).toBeDefined();
  return file!;
}

/** The rows by pages of one; `between` runs behind the first. */
function domains(file: FileBeside, between = () => {}): string[] {
  const found: string[] = [];
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = file.list({}, after, 1);
    found.push(...page.entries.map(({ domain }) => domain));
    if (after === "") between();
    after = page.next;
  }
  return found;
}

/** By a connection of its own, as another process has. */
function asAnother<T>(work: (db: Database.Database) => T, at = path): T {
  const db = new Database(at);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/** In a copy of the file without its log. */
function rowsOfFileAlone(): unknown {
  const copy = join(folder, "copy.sqlite");
  copyFileSync(path, copy);
  return asAnother((db) => db.prepare("SELECT count(*) FROM domain").pluck().get(), copy);
}

describe("reading beside a store", () => {
  it("gives what the store itself gives", async () => {
    await store.put(entry("d", { failure: failure() }));
    await store.put(entry("e", { pin: pin({ mode: "testing" }) }));
    const file = open();
    for (const filter of [{}, { failed: true }, { mode: "testing" }, { expiresBefore: T0 }] as const) {
      for (const size of [1, 3, 100])
        expect(file.list(filter, "a", size)).toEqual(store.list(filter, "a", size));
    }
    file.close();
  });

  it("changes neither the file nor its log", () => {
    const state = () =>
      [path, `${path}-wal`].map((name) => [statSync(name, { bigint: true }).mtimeNs, readFileSync(name)]);
    const before = state();
    expect(statSync(`${path}-wal`).size, "rows are in the log").toBeGreaterThan(0);
    const file = open();
    expect(domains(file)).toEqual(["a", "b", "c"]);
    file.close();
    expect(state()).toEqual(before);
  });

  it("holds up no checkpoint and no write between two pages, and sees what is written", async () => {
    const file = open();
    const found = domains(file, () => {
      asAnother((db) => {
        expect(db.pragma("wal_checkpoint(TRUNCATE)")).toEqual([{ busy: 0, log: 0, checkpointed: 0 }]);
        db.exec("DELETE FROM domain WHERE domain = 'b'");
      });
    });
    expect(found).toEqual(["a", "c"]);
    file.close();
  });

  it("goes on when the store closes, which leaves all rows in the file itself, and another opens", async () => {
    const file = open();
    file.list({}, "", 1);
    await store.close();
    expect(rowsOfFileAlone()).toBe(3);
    store = openStore({ path, now: () => T0, examine: false });
    await store.put(entry("d"));
    expect(domains(file)).toEqual(["a", "b", "c", "d"]);
    file.close();
  });

  it("holds back what is written meanwhile, until it ends: a store that closes waits for that", async () => {
    asAnother((db) => db.exec("CREATE TABLE not_held_back (x)"));
    const { size } = statSync(path);
    const reader = new Database(path);
    try {
      reader.exec("BEGIN; SELECT * FROM domain");
      await store.put(entry("d"));
      const closed = store.close();
      await vi.waitFor(() => expect(statSync(path).size, "the first try").toBeGreaterThan(size));
      reader.exec("COMMIT");
      await closed;
      expect(rowsOfFileAlone()).toBe(4);
    } finally {
      reader.close();
    }
  });

  it("for long keeps no store from closing, and the log has what the file lacks", async () => {
    const reader = new Database(path);
    reader.exec("BEGIN; SELECT * FROM domain");
    await store.put(entry("d"));
    await store.close();
    expect(rowsOfFileAlone()).not.toBe(4);
    reader.close();
    expect(asAnother((db) => db.prepare("SELECT count(*) FROM domain").pluck().get())).toBe(4);
  });

  it("as the last of all leaves the log where it is, for the next store to clear up", async () => {
    const file = open();
    await store.close();
    const log = readFileSync(`${path}-wal`);
    file.close();
    expect(readFileSync(`${path}-wal`)).toEqual(log);
    await openStore({ path, now: () => T0, examine: false }).close();
    expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("goes on in the file it opened when that is set aside", () => {
    const file = open();
    const found = domains(file, () => {
      for (const suffix of ["", "-wal", "-shm"]) renameSync(path + suffix, `${path}.aside${suffix}`);
    });
    expect(found).toEqual(["a", "b", "c"]);
    file.close();
  });

  it("says in a line what keeps it from reading on", () => {
    const file = open();
    const read = () => domains(file, () => asAnother((db) => db.exec("DROP TABLE domain")));
    expect(read).toThrow(
      expect.objectContaining({ name: "StoreError", message: `${path}: no such table: domain` }),
    );
    file.close();
  });
});

describe("is left to the store", () => {
  it.each<[string, () => unknown]>([
    ["a file of another inode", () => copyOf(path)],
    ["the file by a name where its log is not", () => linkSync(path, otherPath())],
    [
      "that, with a log of its own",
      () => (linkSync(path, otherPath()), writeFileSync(`${otherPath()}-shm`, "")),
    ],
    ["a file that is not there", () => {}],
  ])("%s", (_, make) => {
    mkdirSync(join(folder, "other"));
    make();
    expect(sharedIdentity(otherPath(), fileIdentity(otherPath()))).not.toBe(store.identity());
    expect(readBeside(otherPath(), store.identity()!)).toBeUndefined();
  });

  it.each<[string, () => unknown]>([
    ["a newer version's", () => asAnother((db) => db.pragma("user_version = 99"))],
    ["an older version's", () => asAnother((db) => db.pragma("user_version = 2"))],
    ["another program's", () => asAnother((db) => db.pragma("application_id = 1"))],
    ["no database", () => writeFileSync(path, "x".repeat(8192))],
    ["cut to nothing beside its log", () => truncateSync(path)],
  ])("%s, and nothing is written", (_, make) => {
    make();
    const log = readFileSync(`${path}-wal`);
    expect(sharedIdentity(path, fileIdentity(path)), "it is the same file").toBe(store.identity());
    expect(readBeside(path, store.identity()!)).toBeUndefined();
    expect(readFileSync(`${path}-wal`)).toEqual(log);
  });

  it("what another file took the place of, until the store has noticed", () => {
    const before = store.identity()!;
    copyOf(path);
    renameSync(otherPath(), path);
    expect(store.identity(), "what it still reads").toBe(before);
    expect(readBeside(path, before)).toBeUndefined();
    store.changedElsewhere();
    expect(store.identity()).not.toBe(before);
    open().close();
  });
});

it("finds the file behind a symbolic link, as SQLite does", () => {
  const link = join(all.path, `link-${opened}.sqlite`);
  symlinkSync(path, link);
  const file = readBeside(link, store.identity()!);
  expect(domains(file!)).toEqual(["a", "b", "c"]);
  file!.close();
});

function otherPath(): string {
  return join(folder, "other", "cache.sqlite");
}

/** The file with its log, under {@link otherPath}. */
function copyOf(from: string): void {
  mkdirSync(join(folder, "other"), { recursive: true });
  for (const suffix of ["", "-wal", "-shm"]) copyFileSync(from + suffix, otherPath() + suffix);
}
