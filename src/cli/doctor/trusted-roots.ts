/** Whether Postfix can verify a certificate by a public authority, which every enforced policy needs. */
import { X509Certificate } from "node:crypto";
import { lstat, readFile, readdir, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { rootCertificates } from "node:tls";
import { ok, problem, unknown, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";

/** What one of the two settings leads to. */
export interface RootSource {
  readonly parameter: "smtp_tls_CAfile" | "smtp_tls_CApath";
  /** As main.cf has it. */
  readonly setting: string;
  /** Where it was looked for. */
  readonly path: string;
  /**
   * How many of the well-known roots are in it, and how many that are neither of those nor in the bundle; or why that cannot
   * be told.
   */
  readonly found: { readonly known: number; readonly own: number } | { readonly error: string };
}

export interface RootFacts {
  readonly sources: readonly RootSource[];
  /** `tls_append_default_CA`: OpenSSL's own folder counts too, which doctor does not know. */
  readonly appendsDefault: boolean;
  /** A file on this machine with the public roots, to be named instead. */
  readonly bundle: Bundle | undefined;
}

/** Of about 140; roots come and go, so that an older list is none the worse. */
const ENOUGH = 50;

interface Bundle {
  readonly path: string;
  /** Where a root of one's own goes, and what then puts it into the bundle. */
  readonly add: string;
}

const DEBIAN = "/usr/local/share/ca-certificates first: update-ca-certificates(8)";

/** Where distributions have them, in one file. */
const BUNDLES: readonly Bundle[] = [
  { path: "/etc/ssl/certs/ca-certificates.crt", add: DEBIAN },
  {
    path: "/etc/pki/tls/certs/ca-bundle.crt",
    add: "/etc/pki/ca-trust/source/anchors first: update-ca-trust(8)",
  },
  { path: "/etc/ssl/cert.pem", add: DEBIAN },
];

export async function gatherRoots(facts: PostfixFacts): Promise<RootFacts> {
  const { parameters } = facts;
  const known = new Set(rootCertificates.map(fingerprint));
  const bundles = await Promise.all(BUNDLES.map((bundle) => readBundle(bundle, known)));
  const { bundle, prints: bundled } = bundles.find(({ isEnough }) => isEnough) ?? {};
  const file = parameters["smtp_tls_CAfile"] ?? "";
  const folder = parameters["smtp_tls_CApath"] ?? "";
  // smtp(8) reads the file before it locks itself in, and the folder later: postconf(5).
  const isLockedIn = smtpClients(facts).some(({ chroot }) => chroot);
  const root = isLockedIn ? (parameters["queue_directory"] ?? "/") : "/";
  const sources: RootSource[] = [];
  if (file !== "")
    sources.push({
      parameter: "smtp_tls_CAfile",
      setting: file,
      path: file,
      found: await inspect(() => readFileRoots(file), known, bundled),
    });
  if (folder !== "") {
    const found = await inspect(() => readFolderRoots(root, folder), known, bundled);
    sources.push({ parameter: "smtp_tls_CApath", setting: folder, path: join(root, folder), found });
  }
  return { sources, appendsDefault: parameters["tls_append_default_CA"] === "yes", bundle };
}

export function judgeRoots(
  { sources, appendsDefault, bundle }: RootFacts,
  { commands }: Pick<PostfixFacts, "commands">,
): Finding {
  const hasOwn = sources.some(({ found }) => "own" in found && found.own > 0);
  const mend =
    bundle === undefined
      ? ["# install the package ca-certificates, then run this again"]
      : [
          ...(hasOwn ? [`# roots of your own go to ${bundle.add}`] : []),
          ...commands.set({ smtp_tls_CAfile: bundle.path }),
        ];
  if (sources.length === 0) {
    const text =
      "neither smtp_tls_CAfile nor smtp_tls_CApath is set: no certificate is trusted, mail to domains with a policy waits";
    return problem("trusted-roots", text, mend);
  }
  const said = sources.map(describe).join("; ");
  const most = Math.max(...sources.map(({ found }) => ("known" in found ? found.known : 0)));
  // One of the two that cannot be loaded costs the other too: Postfix then speaks no TLS.
  const broken = sources.find(({ parameter, found }) => parameter === "smtp_tls_CAfile" && "error" in found);
  if (broken !== undefined) return problem("trusted-roots", said, mend);
  if (most >= ENOUGH) return ok("trusted-roots", said);
  if (appendsDefault)
    return unknown(
      "trusted-roots",
      `${said}; tls_append_default_CA adds those of OpenSSL, which were not looked at`,
      ...mend,
    );
  if (most > 0) return warning("trusted-roots", `${said}: certificates by the others are refused`, mend);
  return problem(
    "trusted-roots",
    `${said}: no public certificate is trusted, mail to domains with a policy waits`,
    mend,
  );
}

function describe({ parameter, setting, path, found }: RootSource): string {
  const where = path === setting ? setting : `${setting} (in the chroot: ${path})`;
  if ("error" in found) return `${parameter} ${where}: ${found.error}`;
  return `${parameter} ${where} has ${found.known} public roots`;
}

async function readBundle(
  bundle: Bundle,
  known: ReadonlySet<string>,
): Promise<{ bundle: Bundle; prints: Set<string>; isEnough: boolean }> {
  const roots = await readFileRoots(bundle.path).catch(() => []);
  const prints = new Set(roots.map(fingerprint));
  return { bundle, prints, isEnough: count(prints, (print) => known.has(print)) >= ENOUGH };
}

async function inspect(
  read: () => Promise<string[]>,
  known: ReadonlySet<string>,
  bundled: ReadonlySet<string> = new Set(),
): Promise<RootSource["found"]> {
  try {
    const prints = new Set((await read()).map(fingerprint));
    return {
      known: count(prints, (print) => known.has(print)),
      own: count(prints, (print) => !known.has(print) && !bundled.has(print)),
    };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function count(prints: ReadonlySet<string>, isMeant: (print: string) => boolean): number {
  return Array.from(prints).filter(isMeant).length;
}

const PEM = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

async function readFileRoots(path: string): Promise<string[]> {
  return (await readFile(path, "latin1")).match(PEM) ?? [];
}

/** OpenSSL opens no file in the folder but those named by a hash: openssl-rehash(1). */
async function readFolderRoots(root: string, folder: string): Promise<string[]> {
  const names = (await readdir(join(root, folder))).filter((name) => /^[0-9a-f]{8}\.\d+$/.test(name));
  const texts = await Promise.all(
    names.map(async (name) => readFileRoots(await followWithin(root, join(folder, name))).catch(() => [])),
  );
  return texts.flat();
}

/** Where the symbolic links at `path` end for a process whose root folder is `root`. */
async function followWithin(root: string, path: string): Promise<string> {
  let current = path;
  for (let step = 0; step < 8; step++) {
    const outside = join(root, current);
    if (!(await lstat(outside)).isSymbolicLink()) return outside;
    current = resolve(dirname(current), await readlink(outside));
  }
  return join(root, current);
}

function fingerprint(pem: string): string {
  return new X509Certificate(pem.replaceAll("TRUSTED CERTIFICATE", "CERTIFICATE")).fingerprint256;
}
