/** docs/dependencies.md says of what runs with stsmapd what package.json and the lock file say. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");
const page = read("docs/dependencies.md");
const manifest: Record<"dependencies" | "devDependencies", Record<string, string>> = JSON.parse(
  read("package.json"),
);
const locked: Readonly<Record<string, LockedPackage>> = JSON.parse(read("package-lock.json")).packages;

/** What src/ imports: installed with the package, or put into dist/. */
const direct = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
  .filter(([name]) => importsOf("../src").has(name))
  .toSorted(([a], [b]) => a.localeCompare(b));

function importsOf(folder: string): Set<string> {
  const root = fileURLToPath(new URL(folder, import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const texts = files.map((name) => readFileSync(join(root, name), "utf8")).join("\n");
  return new Set(
    [...texts.matchAll(/(?:from |import\(|\)\()"([^".:/][^":/]*)[^":]*"/gu)].map((match) => match[1] ?? ""),
  );
}

/** The names of all that the package at `place` brings along. */
function brings(place: string, seen = new Set<string>()): Set<string> {
  for (const name of Object.keys(locked[place]?.dependencies ?? {})) {
    if (seen.has(name)) continue;
    seen.add(name);
    const nested = `${place}/node_modules/${name}`;
    brings(locked[nested] === undefined ? `node_modules/${name}` : nested, seen);
  }
  return seen;
}

const places = new Set(direct.flatMap(([name]) => [name, ...brings(`node_modules/${name}`)]));

it("names each direct dependency with its licence and the number of those it brings", () => {
  const rows = [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| (\d+) \|/gmu)].map(([, ...cells]) =>
    cells.join(" "),
  );
  const expected = direct.map(([name]) => {
    const place = `node_modules/${name}`;
    return `${name} ${locked[place]?.license} ${brings(place).size}`;
  });
  expect(rows).toEqual(expected);
  expect(page).toContain(`${expected.length} direct, ${places.size} in all`);
});

it("leaves only what is native to be installed", () => {
  expect(Object.keys(manifest.dependencies)).toEqual(["better-sqlite3", "koffi"]);
});

it("has an exact version for each direct dependency, and a checksum for everything", () => {
  expect(direct.filter(([, version]) => !/^\d+\.\d+\.\d+$/u.test(version))).toEqual([]);
  const unchecked = Object.entries(locked).filter(
    ([place, { integrity, link }]) =>
      place.startsWith("node_modules/") && !link && !integrity?.startsWith("sha512-"),
  );
  expect(unchecked).toEqual([]);
});

it("names no registry: the lock file holds for every mirror of the public one", () => {
  const named = Object.entries(locked).filter(([, { resolved, link }]) => !link && resolved !== undefined);
  expect(named).toEqual([]);
});

it("has one package with an install script, which the page explains", () => {
  const scripted = [...places].filter((name) => locked[`node_modules/${name}`]?.hasInstallScript);
  expect(scripted).toEqual(["koffi"]);
});

it("installs without any script", () => {
  expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/mu);
});
