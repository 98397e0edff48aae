/** DEBIAN/: what dpkg is told of the package, and the scripts it runs. */
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import type { Architecture } from "./architecture.ts";
import { filesBelow, put } from "./files.ts";

export interface Package {
  /** Debian's: `0.1.0-1`. */
  readonly version: string;
  readonly architecture: Architecture;
  /** `Name <address>` of whoever builds it. */
  readonly maintainer: string;
  /** When the source was last changed, in seconds: of every file, and of the changelog. */
  readonly time: number;
}

/**
 * The libraries are what `readelf -V` shows Node 24 and better-sqlite3 to need at least. sysusers comes with systemd; where
 * there is none, as in a container, the small stand-alone one does, so it is named first.
 */
const DEPENDS = [
  "ca-certificates",
  "libc6 (>= 2.34)",
  "libgcc-s1",
  "libstdc++6 (>= 12)",
  "systemd-standalone-sysusers | systemd-sysusers",
];

/** Writes DEBIAN/ into `tree`, which is complete but for it. */
export function putControl(tree: string, about: Package): void {
  const files = filesBelow(tree);
  const folder = join(tree, "DEBIAN");
  put(join(folder, "control"), controlFile(about, installedSize(tree)));
  put(
    join(folder, "conffiles"),
    list(files.map((path) => `/${relative(tree, path)}`).filter(isConfiguration)),
  );
  put(
    join(folder, "md5sums"),
    list(files.filter((path) => !isConfiguration(`/${relative(tree, path)}`)).map((path) => sum(tree, path))),
  );

  const units = readdirSync(join(tree, "usr/lib/systemd/system")).join(" ");
  for (const script of ["postinst", "prerm", "postrm"]) {
    cpSync(join(import.meta.dirname, "debian", script), join(folder, script));
    const text = readFileSync(join(folder, script), "utf8");
    writeFileSync(join(folder, script), text.replaceAll("@UNITS@", units));
  }
}

/** Debian's changelog, which has the one line that it is built from this version. */
export function debianChangelog({ version, maintainer, time }: Package): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  const upstream = "See changelog.gz for what is new in stsmapd.";
  return `stsmapd (${version}) unstable; urgency=medium\n\n  * ${upstream}\n\n -- ${maintainer}  ${date}\n`;
}

/** Whether a name below `DEBIAN/` is one of the scripts. */
export function isMaintainerScript(path: string): boolean {
  return ["postinst", "prerm", "postrm"].includes(basename(path));
}

function controlFile({ version, architecture, maintainer }: Package, size: number): string {
  return `Package: stsmapd
Version: ${version}
Section: mail
Priority: optional
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${size}
Depends: ${DEPENDS.join(", ")}
Recommends: postfix (>= 3.4)
Suggests: unbound
Description: MTA-STS policies (RFC 8461) for Postfix
 stsmapd tells Postfix which domains demand verified TLS for their mail. It
 looks up their MTA-STS policies and answers smtp_tls_policy_maps, by socketmap
 or tcp_table. A policy it has seen once it keeps on disk until it expires, and
 refreshes in the background. Domains with DANE are left to DANE, which needs a
 validating resolver such as unbound on this machine.
 .
 The package has a Node of its own, and uses no other.
`;
}

/** In KiB, each file and folder rounded up, as dpkg-gencontrol counts. */
function installedSize(tree: string): number {
  const files = filesBelow(tree).reduce((size, path) => size + Math.ceil(statSync(path).size / 1024), 0);
  const folders = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  return files + folders.length;
}

function isConfiguration(path: string): boolean {
  return path.startsWith("/etc/");
}

function sum(tree: string, path: string): string {
  return `${createHash("md5").update(readFileSync(path)).digest("hex")}  ${relative(tree, path)}`;
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
