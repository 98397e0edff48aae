import { type DebianRoot, hasDebianRoot, makeDebianRoot } from "./debian-root.ts";
import { mustRun } from "./process.ts";

// `tools/runtime/node test/e2e/forky.ts`, as root: makes the folder with Postfix 3.11 unless it is there. It may be kept and shared.

/** The root folder of a Debian forky with Postfix 3.11 and libtlsrpt: about 50 seconds and 150 MB to make. */
export const forkyFolder = process.env["STSMAPD_FORKY"] ?? "/var/cache/stsmapd-e2e/forky";

const forky: DebianRoot = { suite: "forky", folder: forkyFolder, packages: ["postfix"] };

/** Whether the folder stands. */
export function hasForky(): Promise<boolean> {
  return hasDebianRoot(forky);
}

/** Lets programs in the folder see the world: its files under the same names, its resolver, devices and processes. */
export async function mountWorldInForky(worldFolder: string): Promise<void> {
  for (const path of [worldFolder, "/etc/resolv.conf", "/dev", "/proc"])
    await mustRun("mount", ["--bind", path, `${forkyFolder}${path}`]);
}

if (import.meta.main) await makeDebianRoot(forky);
