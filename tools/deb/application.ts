/** /usr/lib/stsmapd: the program, the packages it runs with, and Node. */
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ARCHITECTURES, type Architecture } from "./architecture.ts";
import { filesBelow } from "./files.ts";

/** For compilers and readers; Node needs none of it. Of koffi the JavaScript lies among its native sources. */
const UNUSED_FILE = /(?:\.(?:md|map|[cm]?ts|cc|hh|inc|S|asm)|\/CMakeLists\.txt)$/u;

/** Sources to compile where a package has no binary for the system, which ours have. */
const UNUSED_PATHS = [
  ".bin",
  ".package-lock.json",
  "node-addon-api",
  "stsmapd-runtime",
  "better-sqlite3/binding.gyp",
  "better-sqlite3/deps",
  "better-sqlite3/src",
  "koffi/cnoke.cjs",
  "koffi/lib/native",
  "koffi/vendor",
];

/**
 * Installs, in `workFolder`, exactly what the lock file of `checkout` has for running on `architecture`, whatever this machine
 * is. Returns the folder with the packages, Node's among them.
 */
export function installPackages(checkout: string, workFolder: string, architecture: Architecture): string {
  for (const path of ["package.json", "package-lock.json", ".npmrc", "tools/runtime/package.json"])
    cpSync(join(checkout, path), join(workFolder, path));
  const target = ["--os=linux", `--cpu=${ARCHITECTURES[architecture].npm}`, "--libc=glibc"];
  execFileSync("npm", ["ci", "--omit=dev", ...target], {
    cwd: workFolder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return join(workFolder, "node_modules");
}

/** Puts the application together in `folder`: bundles `checkout` as `npm run build` does, and copies from `packages` what is needed at run time. */
export function assembleApplication(
  checkout: string,
  packages: string,
  folder: string,
  architecture: Architecture,
): void {
  const bundle = ["-c", "--log-level", "warn", "--dir", join(folder, "dist")];
  execFileSync(process.execPath, [join(checkout, "node_modules/rolldown/bin/cli.mjs"), ...bundle], {
    cwd: checkout,
    stdio: ["ignore", "ignore", "inherit"],
  });
  cpSync(join(checkout, "package.json"), join(folder, "package.json"));

  const runtime = `node-linux-${ARCHITECTURES[architecture].npm}`;
  cpSync(join(packages, runtime, "bin/node"), join(folder, "bin/node"));

  const modules = join(folder, "node_modules");
  cpSync(packages, modules, { recursive: true, filter: (path) => basename(path) !== runtime });
  prune(modules, ARCHITECTURES[architecture].npm);
}

/** Removes from the folder `modules` what nothing loads on Debian. */
function prune(modules: string, architecture: string): void {
  for (const path of UNUSED_PATHS) rmSync(join(modules, path), { recursive: true, force: true });
  const ofOthers = [
    ...otherEntries(join(modules, "better-sqlite3/prebuilds"), `linux-${architecture}.node`),
    ...otherEntries(
      join(modules, `@koromix/koffi-linux-${architecture}`),
      `linux_${architecture}`,
      "index.js",
      "package.json",
    ),
  ];
  for (const path of ofOthers) rmSync(path, { recursive: true });
  for (const path of filesBelow(modules)) {
    if (UNUSED_FILE.test(path)) rmSync(path);
  }
  removeEmptyFolders(modules);
}

function otherEntries(folder: string, ...kept: string[]): string[] {
  return readdirSync(folder)
    .filter((name) => !kept.includes(name))
    .map((name) => join(folder, name));
}

function removeEmptyFolders(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmptyFolders(join(folder, entry.name));
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}
