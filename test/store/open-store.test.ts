import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import type { StoreErrorCode } from "../../src/store/store.ts";
import { entry, T0, temporaryFolder } from "./entries.ts";
import { unprivileged } from "../helpers/unprivileged.ts";

const isRoot = process.geteuid?.() === 0;
const MODULE = new URL("../../src/store/open-store.ts", import.meta.url).href;

/** Runs an ES module in a process of its own, which may do no more than the owner of its files. */
function run(script: string) {
  return spawnSync(...unprivileged(["--input-type=module", "-e", script]), {
    encoding: "utf8",
    timeout: 15_000,
  });
}

/** The error of opening `path`; in the eyes of somebody who may not do everything. */
function refusal(path: string): unknown {
  const script = `
    import { openStore } from ${JSON.stringify(MODULE)};
    try {
      openStore({ path: ${JSON.stringify(path)}, now: () => 0 });
      console.log("{}");
    } catch ({ name, code, message }) {
      console.log(JSON.stringify({ name, code, message }));
    }`;
  const { stdout, stderr } = run(script);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout);
}

/** One line that names the path and says what to do. */
function expected(code: StoreErrorCode, path: string) {
  const remedy = /^[^\n]+: [^\n]*(name another path|let user id \d+ own it)[^\n]*$/;
  return {
    name: "StoreError",
    code,
    message: expect.toSatisfy((message: string) => message.includes(path) && remedy.test(message)),
  };
}

describe("openStore", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(() => {
    folder.remove();
  });

  it("names a folder that cannot be made", () => {
    chmodSync(folder.path, 0o555);
    expect(refusal(join(folder.path, "state", "cache.sqlite"))).toEqual(
      expected("permission", join(folder.path, "state")),
    );
  });

  it("names a file that stands where the folder should be", () => {
    chmodSync(folder.path, 0o755);
    writeFileSync(join(folder.path, "state"), "");
    expect(refusal(join(folder.path, "state", "cache.sqlite"))).toEqual(
      expected("cannot-create", join(folder.path, "state")),
    );
  });

  it("names a folder where it may not write", () => {
    chmodSync(folder.path, 0o555);
    expect(refusal(join(folder.path, "cache.sqlite"))).toEqual(expected("permission", folder.path));
  });

  it("names a file that it may not write", () => {
    const path = join(folder.path, "cache.sqlite");
    chmodSync(folder.path, 0o777);
    writeFileSync(path, "");
    chmodSync(path, 0o400);
    expect(refusal(path)).toEqual(expected("permission", path));
    expect(statSync(path).size).toBe(0);
  });

  it("names a folder given as the file", () => {
    chmodSync(folder.path, 0o777);
    mkdirSync(join(folder.path, "cache.sqlite"), { mode: 0o777 });
    expect(refusal(join(folder.path, "cache.sqlite"))).toEqual(expected("cannot-create", "cache.sqlite"));
  });

  it.runIf(isRoot)("names a file that is another user's (needs root, to give it away)", () => {
    const path = join(folder.path, "cache.sqlite");
    writeFileSync(path, "");
    chmodSync(path, 0o600);
    chmodSync(folder.path, 0o777);
    chownSync(path, 1, 1);
    expect(refusal(path)).toEqual(expected("permission", path));
  });

  describe.runIf(isRoot && canMount())("on a tmpfs of its own (needs the right to mount)", () => {
    let mount: string;
    beforeEach(() => {
      mount = join(folder.path, "tmpfs");
      mkdirSync(mount);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]);
    });
    afterEach(() => execFileSync("umount", [mount]));

    it("names a read-only file system", () => {
      execFileSync("mount", ["-o", "remount,ro", mount]);
      const path = join(mount, "cache.sqlite");
      expect(() => openStore({ path, now: () => T0 })).toThrow(
        expect.objectContaining({
          code: "read-only",
          message: expect.stringContaining("file system is read-only"),
        }),
      );
    });

    it("reads on when the disk is full, and writes again when there is room", async () => {
      const store = openStore({ path: join(mount, "cache.sqlite"), now: () => T0 });
      await store.put(entry("first"));
      writeFileSync(join(mount, "ballast"), Buffer.alloc(600_000));
      const results = await Promise.allSettled(
        Array.from({ length: 1000 }, (_, n) => store.put(entry(`d${n}`))),
      );
      expect(results[0]).toMatchObject({ status: "rejected", reason: { code: "full" } });
      expect(store.health()).toMatchObject({ writable: false, lastError: { code: "full" } });
      expect(store.get("first")).toEqual(entry("first"));

      rmSync(join(mount, "ballast"));
      await store.put(entry("later"));
      expect(store.get("later")).toEqual(entry("later"));
      expect(store.health()).toEqual({ writable: true, readable: true });
      await store.close();
    });
  });

  it("lets the process end without close", () => {
    const child = run(`
      import { openStore } from ${JSON.stringify(MODULE)};
      const store = openStore({ path: ${JSON.stringify(join(folder.path, "cache.sqlite"))}, now: () => 0 });
      await store.put({ domain: "a", pin: undefined, failure: undefined, checkedAt: 0, checkAt: 0, usedAt: 0 });
      console.log("written");`);
    expect(child).toMatchObject({ status: 0, stdout: "written\n" });
  });
});

function canMount(): boolean {
  const { path, remove } = temporaryFolder();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", path]).status === 0;
  if (mounted) execFileSync("umount", [path]);
  remove();
  return mounted;
}
