/** Files and folders of the package's tree. */
import { chmodSync, lutimesSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";

/** The paths of all regular files below `folder`, sorted. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** The packages of npm below a folder `node_modules`: each that has a name, and not what some keep in folders of their own. */
export function packageFolders(modules: string): string[] {
  return filesBelow(modules)
    .filter((path) => /\/node_modules\/(?:@[^/]+\/)?[^/@]+\/package\.json$/u.test(path))
    .map((path) => dirname(path));
}

/** Writes a file, and makes the folders it is in. */
export function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** The same, compressed as Debian wants manual pages and changelogs. Node puts no time stamp in. */
export function putCompressed(path: string, content: string | Uint8Array): void {
  put(path, gzipSync(content, { level: 9 }));
}

/**
 * Gives all below `folder` the same permissions and time (seconds) on every machine that builds: only what `isProgram` says
 * of a path can be executed.
 */
export function normalise(folder: string, time: number, isProgram: (path: string) => boolean): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    chmodSync(path, entry.isDirectory() || isProgram(path) ? 0o755 : 0o644);
    lutimesSync(path, time, time);
  }
  chmodSync(folder, 0o755);
  lutimesSync(folder, time, time);
}
