import { access, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { mustRun, runInTerminal } from "./process.ts";

// `tools/runtime/node test/e2e/forky.ts`, as root: makes the folder with Postfix 3.11 unless it is there. It may be kept and shared.

/** The root folder of a Debian forky with Postfix 3.11 and libtlsrpt. */
export const forkyFolder = process.env["STSMAPD_FORKY"] ?? "/var/cache/stsmapd-e2e/forky";

/** Whether the folder stands. It gets its name when it is complete, so that half of one is never found. */
export function hasForky(): Promise<boolean> {
  return access(`${forkyFolder}/usr/sbin/postfix`).then(
    () => true,
    () => false,
  );
}

/** Lets programs in the folder see the world: its files under the same names, its resolver, devices and processes. */
export async function mountWorldInForky(worldFolder: string): Promise<void> {
  for (const path of [worldFolder, "/etc/resolv.conf", "/dev", "/proc"])
    await mustRun("mount", ["--bind", path, `${forkyFolder}${path}`]);
}

/** Makes the folder by debootstrap from this machine's own Debian mirror: about 50 seconds and 150 MB. */
async function makeForky(): Promise<void> {
  await mkdir(dirname(forkyFolder), { recursive: true });
  const unfinished = await mkdtemp(`${forkyFolder}.`);
  try {
    // What it mounts and starts ends with its namespaces, even when it fails: then the folder can be removed.
    const namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const options = ["--variant=minbase", "--include=postfix", "--force-check-gpg"];
    // Debian 12 knows no forky by name; sid's is the script of every suite since.
    const suite = ["forky", unfinished, await debianMirror(), "/usr/share/debootstrap/scripts/sid"];
    const status = await runInTerminal("unshare", [...namespaces, "debootstrap", ...options, ...suite]);
    if (status !== 0) throw new Error(`debootstrap ended with ${status}`);
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
    await rename(unfinished, forkyFolder);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Somebody else was faster: a folder that is not empty is not replaced.
    if (!(await hasForky())) throw error;
  }
}

/** Where apt gets Debian from, whatever the format of its sources. */
async function debianMirror(): Promise<string> {
  const format = "$(ORIGIN) $(LABEL) $(COMPONENT) $(REPO_URI)";
  const targets = await mustRun("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  const mirror = /^Debian Debian main (\S+)$/mu.exec(targets)?.[1];
  if (mirror === undefined) throw new Error("apt knows no Debian mirror: apt-get update");
  return mirror;
}

if (import.meta.main && !(await hasForky())) await makeForky();
