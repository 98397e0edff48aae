/** The worker thread is found by its file name, which is another in dist/. */
import { execFileSync, spawnSync } from "node:child_process";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { entry, temporaryFolder } from "./entries.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

it("puts through its writer thread and reads back when it runs from dist/", () => {
  const folder = temporaryFolder();
  const dist = join(folder.path, "dist");
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [
    tsc,
    "-p",
    join(ROOT, "tsconfig.build.json"),
    "--noCheck",
    "--outDir",
    dist,
  ]);
  writeFileSync(join(folder.path, "package.json"), JSON.stringify({ type: "module" }));
  symlinkSync(join(ROOT, "node_modules"), join(folder.path, "node_modules"));

  const script = `
    import { openStore } from ${JSON.stringify(join(dist, "store/open-store.js"))};
    const store = openStore({ path: ${JSON.stringify(join(folder.path, "cache.sqlite"))}, now: () => 0 });
    await store.put(${JSON.stringify(entry("example.com"))});
    await store.close();
    const again = openStore({ path: ${JSON.stringify(join(folder.path, "cache.sqlite"))}, now: () => 0 });
    console.log(JSON.stringify(again.get("example.com")));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  expect(child).toMatchObject({ status: 0, stderr: "" });
  expect(JSON.parse(child.stdout)).toEqual(JSON.parse(JSON.stringify(entry("example.com"))));
  folder.remove();
});
