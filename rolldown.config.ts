/** `npm run build`: src/ and the packages it uses, as few files, because looking for hundreds of them doubled the time to start. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "rolldown";
import type { Plugin } from "rolldown";

/** What is left outside: native code, which its package finds by its own place. package.json has them as dependencies. */
const NATIVE = ["better-sqlite3", "koffi"];

const PACKAGE_FOLDER = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

// oxlint-disable-next-line import/no-default-export -- what rolldown looks for
export default defineConfig({
  // The store's thread and its search for damage are started by the names of their files.
  input: {
    main: "src/main.ts",
    "sqlite-writer": "src/store/sqlite-writer.ts",
    "quick-check": "src/store/quick-check.ts",
  },
  platform: "node",
  external: NATIVE,
  output: {
    dir: "dist",
    // An import of one of Node's own modules reads all that it exports, and so loads what it has put off: a `require` does not.
    format: "cjs",
    // As the sources are, which are modules: "auto" looks for a directive in them, and a module has none.
    strict: true,
    cleanDir: true,
    chunkFileNames: "[name].js",
    // Lines are kept, and so are names: a stack trace in an admin's log is to be read.
    comments: { legal: false, annotation: false, jsdoc: false },
  },
  plugins: [licences(), moduleType()],
});

/** Says what the output is, for the package's own package.json says otherwise. */
function moduleType(): Plugin {
  return {
    name: "module-type",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "package.json", source: '{ "type": "commonjs" }\n' });
    },
  };
}

/** The licences of all packages of which something is in the output: theirs demand that they go with it. */
function licences(): Plugin {
  return {
    name: "licences",
    generateBundle() {
      const folders = new Set<string>();
      for (const id of this.getModuleIds()) {
        const folder = PACKAGE_FOLDER.exec(id)?.[0];
        if (folder !== undefined) folders.add(folder);
      }
      const texts = [...folders].toSorted().map((folder) => licenceOf(folder));
      this.emitFile({
        type: "asset",
        fileName: "LICENSES.txt",
        source: texts.join(`\n${"-".repeat(79)}\n\n`),
      });
    },
  };
}

function licenceOf(folder: string): string {
  const name = folder.split("/node_modules/").at(-1);
  const file = readdirSync(folder).find((candidate) => /^licen[cs]e/i.test(candidate));
  if (file === undefined) throw new Error(`${name} is bundled, and its package has no licence file`);
  return `${name}\n\n${readFileSync(join(folder, file), "utf8").trim()}`;
}
