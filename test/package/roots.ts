import { access, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { hasDebianRoot, makeDebianRoot, plainDebian } from "../e2e/debian-root.ts";
import { mustRun } from "../e2e/process.ts";

// `tools/runtime/node test/package/roots.ts`, as root: makes what is missing of the folders below. They may be kept and shared.

const cache = "/var/cache/stsmapd-e2e";

export type Suite = "bookworm" | "trixie";
export const suites: readonly Suite[] = ["bookworm", "trixie"];

/** What the package needs of Debian, and systemd: downloaded, not installed, so that apt works where there is no network. */
const downloaded = ["ca-certificates", "libstdc++6", "systemd-standalone-sysusers"];
const downloadedSystemd = ["systemd", "systemd-sysv"];

/** The folders of which a machine with `suite` is a copy, the uppermost first: apt's lists and packages, and Debian. */
export function rootLayers(suite: Suite): string[] {
  return [`${cache}/${suite}-apt`, plainDebian(suite).folder];
}

/** The suites of which something is missing. */
export async function missingRoots(): Promise<Suite[]> {
  const found = await Promise.all(suites.map(hasRoots));
  return suites.filter((_, index) => !found[index]);
}

async function hasRoots(suite: Suite): Promise<boolean> {
  const hasApt = await access(rootLayers(suite)[0] ?? "").then(
    () => true,
    () => false,
  );
  return hasApt && hasDebianRoot(plainDebian(suite));
}

async function makeRoots(suite: Suite): Promise<void> {
  await makeDebianRoot(plainDebian(suite));
  if (!(await hasRoots(suite))) await makeAptLayer(suite);
}

/** What `apt-get update` and the downloads change in the root folder, as a folder to lay over it. */
async function makeAptLayer(suite: Suite): Promise<void> {
  const [layer = "", lower = ""] = rootLayers(suite);
  const unfinished = await mkdtemp(`${layer}.`);
  const [upper, work, root] = [`${unfinished}/upper`, `${unfinished}/work`, `${unfinished}/root`];
  for (const folder of [upper, work, root]) await mkdir(folder);
  const install = "apt-get install -qq -y --no-install-recommends --download-only";
  const script = `
    mount -t overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} overlay ${root}
    mount --bind /etc/resolv.conf ${root}/etc/resolv.conf
    mount -t proc proc ${root}/proc
    mount --bind /dev ${root}/dev
    mkdir -p ${root}/var/lib/apt/lists/partial ${root}/var/cache/apt/archives/partial
    chroot ${root} sh -ec 'apt-get update -qq; ${install} ${downloaded.join(" ")}; ${install} ${downloadedSystemd.join(" ")}'`;
  try {
    await mustRun("unshare", ["--mount", "sh", "-ec", script], {
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
    await rename(upper, layer);
  } catch (error) {
    // Somebody else was faster: a folder that is not empty is not replaced.
    if (!(await hasRoots(suite))) throw error;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

if (import.meta.main) await Promise.all(suites.map(makeRoots));
