/** Under which licences the parts of the package are, and their texts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolders } from "./files.ts";

const LICENCE_FILE = /^(?:licen[cs]e|copying|notice)/iu;

/** /usr/share/doc/stsmapd/copyright: our own licence, and the names of those of the `packages` that are in the .deb. */
export function copyright(checkout: string, packages: string): string {
  const own = readFileSync(join(checkout, "LICENSE"), "utf8");
  const others = manifests(packages).map(({ title, licence }) => `  ${title}: ${licence}\n`);
  return `stsmapd is under this licence:

${own}
dist/ has parts by others: /usr/lib/stsmapd/dist/LICENSES.txt has their licences.
These are beside it, under the licences named here. Their texts are
in licences.txt.gz beside this file, Node's with those of what is built into it;
that of Apache-2.0 is also in /usr/share/common-licenses/Apache-2.0.

${others.join("")}`;
}

/** /usr/share/doc/stsmapd/licences.txt: what each of the `packages` says of its licence, word for word. */
export function licenceTexts(packages: string): string {
  const parts = manifests(packages).map(({ title, licence, folder }) => {
    const files = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
      .map((entry) => readFileSync(join(folder, entry.name), "utf8").trim());
    return [title, `Licence: ${licence}`, ...files].join("\n\n");
  });
  return `${parts.join(`\n\n${"=".repeat(80)}\n\n`)}\n`;
}

interface Part {
  readonly title: string;
  /** By its SPDX name. */
  readonly licence: string;
  readonly folder: string;
}

function manifests(packages: string): Part[] {
  return packageFolders(packages).map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return { title: `${name} ${version}`, licence: license, folder };
  });
}
