import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { mustRun, runInTerminal } from "./process.ts";

/** A root folder with a Debian of its own. It gets its name when it is complete, so that half of one is never found. */
export interface DebianRoot {
  /** Of debootstrap: `bookworm`, `forky`. */
  readonly suite: string;
  readonly folder: string;
  /** Beside the essential ones. */
  readonly packages: readonly string[];
}

/** Nothing but the essential packages and apt, as in the images `debian:*-slim`; one folder for all that want it. */
export function plainDebian(suite: "bookworm" | "trixie"): DebianRoot {
  return { suite, folder: `/var/cache/stsmapd-e2e/${suite}`, packages: [] };
}

/** Whether the folder stands. */
export function hasDebianRoot({ folder }: DebianRoot): Promise<boolean> {
  return access(`${folder}/etc/debian_version`).then(
    () => true,
    () => false,
  );
}

/** Makes the folder, unless it is there, by debootstrap from this machine's own Debian mirror; as root. */
export async function makeDebianRoot(root: DebianRoot): Promise<void> {
  if (await hasDebianRoot(root)) return;
  await mkdir(dirname(root.folder), { recursive: true });
  const unfinished = await mkdtemp(`${root.folder}.`);
  try {
    await debootstrap(root, unfinished);
    for (const unused of [
      "var/cache/apt",
      "var/lib/apt",
      "usr/share/doc",
      "usr/share/locale",
      "usr/share/man",
    ])
      await rm(`${unfinished}/${unused}`, { recursive: true });
    // The world's own is mounted over it, so it has to be a file.
    await rm(`${unfinished}/etc/resolv.conf`, { force: true });
    await writeFile(`${unfinished}/etc/resolv.conf`, "");
    await mustRun("chmod", ["755", unfinished]);
    await rename(unfinished, root.folder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Somebody else was faster: a folder that is not empty is not replaced.
    if (!(await hasDebianRoot(root))) throw error;
  }
}

async function debootstrap({ suite, packages }: DebianRoot, folder: string): Promise<void> {
  // What it mounts and starts ends with its namespaces, even when it fails: then the folder can be removed.
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const include = packages.length > 0 ? [`--include=${packages.join(",")}`] : [];
  const options = ["--variant=minbase", "--force-check-gpg", ...include];
  // Debian 12 knows no forky by name; sid's is the script of every suite.
  const source = [suite, folder, await debianMirror(), "/usr/share/debootstrap/scripts/sid"];
  const status = await runInTerminal("unshare", [...namespaces, "debootstrap", ...options, ...source]);
  if (status !== 0) throw new Error(`debootstrap ended with ${status}`);
}

/** Where apt gets Debian from, whatever the format of its sources. */
async function debianMirror(): Promise<string> {
  const format = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)";
  const targets = await mustRun("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  const mirror = /^Debian Debian main (\S+)$/mu.exec(targets)?.[1];
  if (mirror === undefined) throw new Error("apt knows no Debian mirror: apt-get update");
  return mirror;
}
