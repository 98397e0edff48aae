/** What `npm run build:npm` puts into the package, from a checkout in which nothing was built. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const {
  name,
  version,
  files,
}: { readonly name: string; readonly version: string; readonly files: readonly string[] } = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
);

let folder: string;
let paths: string[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stsmapd-npm-"));
  const checkout = join(folder, "checkout");
  const needed = [
    ...files,
    "LICENSE",
    "README.md",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "src",
    "tools",
  ];
  for (const path of [...needed, "tsconfig.json", "rolldown.config.ts"].filter((entry) => entry !== "dist"))
    cpSync(join(ROOT, path), join(checkout, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  execFileSync("npm", ["run", "build:npm", "--", "--pack-destination", folder], {
    cwd: checkout,
    stdio: "ignore",
  });

  mkdirSync(join(folder, "unpacked"));
  const archive = join(folder, `${name}-${version}.tgz`);
  execFileSync("tar", ["-xzf", archive, "-C", join(folder, "unpacked")]);
  paths = execFileSync("tar", ["-tzf", archive], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((path) => path.replace(/^package\//u, ""));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

it("has these files and folders, and no others", () => {
  const expected = new Set(["LICENSE", "README.md", "package.json", ...files]);
  expect(new Set(paths.map((path) => path.split("/")[0]))).toEqual(expected);
  expect(files).toEqual([
    "CHANGELOG.md",
    "dist",
    "docs",
    "man",
    "postfix-examples",
    "stsmapd.example.yaml",
    "systemd",
  ]);
});

it("has the program, the store's thread and the licences of what is in them, and neither types nor source maps", () => {
  expect(paths).toEqual(
    expect.arrayContaining([
      "dist/main.js",
      "dist/sqlite-writer.js",
      "dist/quick-check.js",
      "dist/LICENSES.txt",
    ]),
  );
  expect(paths.filter((path) => /\.(?:ts|map)$/u.test(path))).toEqual([]);
});

it("says in one line which Node it needs, where that is older", () => {
  const old = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.0" } })`;
  const main = join(folder, "unpacked/package/dist/main.js");
  const child = spawnSync(process.execPath, ["--import", `data:text/javascript,${old}`, main], {
    encoding: "utf8",
  });
  expect(child).toMatchObject({
    status: 1,
    stdout: "",
    stderr: "stsmapd needs Node 22.19 or later; this is 20.19.0\n",
  });
});
