import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { assembleApplication, installPackages } from "./application.ts";
import { ARCHITECTURES, type Architecture, checkBinaries } from "./architecture.ts";
import { debianChangelog, isMaintainerScript, type Package, putControl } from "./control.ts";
import { copyright, licenceTexts } from "./copyright.ts";
import { filesBelow, normalise, put, putCompressed } from "./files.ts";

// `npm run build:deb`: a .deb of this checkout, with its own Node; the same bytes on every Debian. tools/deb/README.md.

const checkout = join(import.meta.dirname, "../..");

const { values: options } = parseArgs({
  options: {
    arch: { type: "string", default: "amd64" },
    // Debian's part of the version, for a package that is built again from the same stsmapd.
    revision: { type: "string", default: "1" },
    // Of xz, 0 to 9. A low one is quick, for trying the package out.
    level: { type: "string", default: "6" },
    out: { type: "string", default: "." },
  },
});

const workFolder = mkdtempSync(join(tmpdir(), "stsmapd-deb-"));
try {
  console.log(build(workFolder, describePackage()));
} finally {
  rmSync(workFolder, { recursive: true });
}

function describePackage(): Package {
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8"));
  const architecture = options.arch;
  if (!isArchitecture(architecture)) {
    throw new Error(`--arch is one of ${Object.keys(ARCHITECTURES).join(", ")}, and not ${architecture}`);
  }
  const { DEBFULLNAME = "The stsmapd authors", DEBEMAIL = "stsmapd@packages.example.org" } = process.env;
  return {
    // `~` sorts before the version without it, as a pre-release has to.
    version: `${version.replace("-", "~")}-${options.revision}`,
    architecture,
    maintainer: `${DEBFULLNAME} <${DEBEMAIL}>`,
    time: sourceTime(),
  };
}

function isArchitecture(name: string): name is Architecture {
  return Object.hasOwn(ARCHITECTURES, name);
}

/** SOURCE_DATE_EPOCH, or else the time of the last commit, or without git that of the changelog; in seconds. */
function sourceTime(): number {
  const given = process.env["SOURCE_DATE_EPOCH"] ?? lastCommit();
  return given === undefined
    ? Math.floor(statSync(join(checkout, "CHANGELOG.md")).mtimeMs / 1000)
    : Number(given);
}

function lastCommit(): string | undefined {
  const { stdout } = spawnSync("git", ["-C", checkout, "log", "-1", "--format=%ct"], { encoding: "utf8" });
  // Null without git, empty where this is no repository.
  return stdout || undefined;
}

/** Returns the path of the package. */
function build(folder: string, about: Package): string {
  const tree = join(folder, "tree");
  const packages = installPackages(checkout, join(folder, "npm"), about.architecture);
  const application = join(tree, "usr/lib/stsmapd");
  mkdirSync(application, { recursive: true });
  assembleApplication(checkout, packages, application, about.architecture);
  checkBinaries(tree, about.architecture);
  putSystemFiles(tree);
  putCompletions(tree);
  putDocumentation(tree, about, packages);
  putControl(tree, about);
  const programs = new Set([join(application, "bin/node"), join(tree, "usr/bin/stsmapd")]);
  normalise(tree, about.time, (path) => programs.has(path) || isMaintainerScript(path));

  const file = join(resolve(options.out), `stsmapd_${about.version}_${about.architecture}.deb`);
  // Two threads, whatever the machine has: the number of blocks shows in the result.
  const packing = ["--root-owner-group", "-Zxz", `-z${options.level}`, "--threads-max=2"];
  execFileSync("dpkg-deb", [...packing, "--build", tree, file], {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(about.time) },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return file;
}

/** The command, the units, the account and the configuration, under the names that systemd/README.md gives them. */
function putSystemFiles(tree: string): void {
  const copy = (from: string, to: string) => put(join(tree, to), readFileSync(join(checkout, from)));
  copy("systemd/stsmapd", "usr/bin/stsmapd");
  copy("systemd/sysusers.conf", "usr/lib/sysusers.d/stsmapd.conf");
  copy("stsmapd.example.yaml", "etc/stsmapd/stsmapd.yaml");
  for (const unit of readdirSync(join(checkout, "systemd")).filter((name) =>
    /\.(?:service|socket)$/u.test(name),
  ))
    copy(`systemd/${unit}`, `usr/lib/systemd/system/${unit}`);
}

function putCompletions(tree: string): void {
  const folders = {
    bash: "usr/share/bash-completion/completions/stsmapd",
    zsh: "usr/share/zsh/vendor-completions/_stsmapd",
    fish: "usr/share/fish/vendor_completions.d/stsmapd.fish",
  };
  for (const [shell, path] of Object.entries(folders)) {
    const script = execFileSync(process.execPath, [join(checkout, "src/main.ts"), "completion", shell]);
    put(join(tree, path), script);
  }
}

function putDocumentation(tree: string, about: Package, packages: string): void {
  const folder = join(tree, "usr/share/doc/stsmapd");
  for (const path of ["README.md", "docs", "postfix-examples", "systemd/README.md", "stsmapd.example.yaml"])
    cpSync(join(checkout, path), join(folder, path), { recursive: true });
  put(join(folder, "copyright"), copyright(checkout, packages));
  putCompressed(join(folder, "licences.txt.gz"), licenceTexts(packages));
  putCompressed(join(folder, "changelog.gz"), readFileSync(join(checkout, "CHANGELOG.md")));
  putCompressed(join(folder, "changelog.Debian.gz"), debianChangelog(about));

  const overrides = readFileSync(join(import.meta.dirname, "debian/lintian-overrides"));
  put(join(tree, "usr/share/lintian/overrides/stsmapd"), overrides);

  for (const page of filesBelow(join(checkout, "man"))) {
    const [section, name] = [page.at(-1), page.slice(page.lastIndexOf("/") + 1)];
    putCompressed(join(tree, `usr/share/man/man${section}/${name}.gz`), readFileSync(page));
  }
}
