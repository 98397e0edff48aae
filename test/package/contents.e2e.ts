import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ARCHITECTURES, type Architecture, checkBinaries } from "../../tools/deb/architecture.ts";
import { mustRun, run } from "../e2e/process.ts";
import { packageFolder } from "./packages.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "stsmapd-contents-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function findPackage(architecture: Architecture): Promise<string> {
  const files = await readdir(packageFolder);
  return join(packageFolder, files.find((name) => name.endsWith(`-1_${architecture}.deb`)) ?? "none");
}

it.each(["amd64", "arm64"] as const)(
  "has Node and two native packages, and all of them for %s",
  async (architecture) => {
    const tree = join(folder, architecture);
    await mustRun("dpkg-deb", ["--extract", await findPackage(architecture), tree]);
    expect(checkBinaries(tree, architecture)).toBe(3);
    const other = architecture === "amd64" ? "arm64" : "amd64";
    expect(() => checkBinaries(tree, other)).toThrow(
      `is not for ${other}: ELF machine ${ARCHITECTURES[architecture].elfMachine}`,
    );
  },
);

it("has no error by lintian", async () => {
  const result = await run("lintian", ["--allow-root", "--fail-on=error", await findPackage("amd64")]);
  expect(result).toMatchObject({ code: 0 });
});
