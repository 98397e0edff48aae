/** docs/dependencies.md says of what runs with stsmapd what package.json and the lock file say. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");
const page = read("docs/dependencies.md");
const direct: Readonly<Record<string, string>> = JSON.parse(read("package.json")).dependencies;
const locked: Readonly<Record<string, LockedPackage>> = JSON.parse(read("package-lock.json")).packages;

/** By its place in the tree: what is installed with the package, whatever the platform. */
const installed = Object.entries(locked).filter(
  ([place, { dev, link, optional }]) => place.startsWith("node_modules/") && !dev && !link && !optional,
);

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

it("names each direct dependency with its licence and the number of those it brings", () => {
  const rows = [...page.matchAll(/^\| ([^|]+) \| ([^|]+) \| (\d+) \|/gmu)].map(([, ...cells]) =>
    cells.join(" "),
  );
  const expected = Object.keys(direct).map((name) => {
    const place = `node_modules/${name}`;
    return `${name} ${locked[place]?.license} ${brings(place).size}`;
  });
  expect(rows).toEqual(expected);
  expect(page).toContain(`${expected.length} direct, ${installed.length} in all`);
});

it("has an exact version for each direct dependency, and a checksum for everything", () => {
  expect(Object.values(direct).filter((version) => !/^\d+\.\d+\.\d+$/u.test(version))).toEqual([]);
  expect(installed.filter(([, { integrity }]) => integrity?.startsWith("sha512-") !== true)).toEqual([]);
});

it("names no registry: the lock file holds for every mirror of the public one", () => {
  const named = Object.entries(locked).filter(([, { resolved, link }]) => !link && resolved !== undefined);
  expect(named).toEqual([]);
});

it("has one package with an install script, which the page explains", () => {
  const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript).map(([place]) => place);
  expect(scripted).toEqual(["node_modules/koffi"]);
});

it("installs without any script", () => {
  expect(read(".npmrc")).toMatch(/^ignore-scripts=true$/mu);
});
