/** The manual pages say what the code does: no key, command, option or exit status more or less. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { describeCommand, withSubcommands } from "../../src/cli/completion/description.ts";
import { ExitCode } from "../../src/cli/exit-code.ts";
import { createProgram } from "../../src/cli/program.ts";
import { parseConfig, renderConfig } from "../../src/config.ts";
import type { Field } from "../../src/config/fields.ts";
import { schema } from "../../src/config/schema.ts";
import { isSection } from "../../src/config/section.ts";
import { problemsOf } from "../config/problems-of.ts";
import { hasProgram } from "../helpers/shell-completion.ts";
import { headings, items, manPage } from "./mdoc.ts";

describe("stsmapd.yaml(5)", () => {
  const page = manPage("stsmapd.yaml.5");
  const described = items(page).filter(({ title }) => title.startsWith("Cm "));
  const itemOf = (key: string) => described.find(({ title }) => keyOf(title) === key);

  const paths = keysOf(schema.fields);
  const scalars = paths.filter((path) => path.length > 1);
  const ofItems = [
    ...allowedKeys("listen: [{ no_such_key: 1 }]").map((key) => `listen[].${key}`),
    ...allowedKeys("overrides: [{ no_such_key: 1 }]").map((key) => `overrides[].${key}`),
    ...allowedKeys("maps: { postfix: { no_such_key: 1 } }").map((key) => `maps.*.${key}`),
  ];

  it("has every key once, and no other", () => {
    const keys = [...paths.map((path) => path.join(".")), ...ofItems];
    expect(described.map(({ title }) => keyOf(title)).toSorted()).toEqual(keys.toSorted());
  });

  const env = { STATE_DIRECTORY: "/var/lib/stsmapd" };
  const defaults: unknown = parse(renderConfig(parseConfig("", "none", env)));

  it.each(scalars.map((path) => ({ key: path.join("."), path })))(
    "has the default of $key",
    ({ key, path }) => {
      const [, written] = /^Default:\n\.Li (\S+)/m.exec(itemOf(key)?.body ?? "") ?? [];
      // What is not printed has no value of its own.
      const value = valueAt(defaults, path) ?? null;
      expect(written?.replace("\\&", "")).toBe(typeof value === "string" ? value : JSON.stringify(value));
    },
  );

  it("has the listeners, overrides and maps there are by default", () => {
    const listen = /Default:\n\.Li (.+)/.exec(itemOf("listen")?.body ?? "")?.[1] ?? "";
    const maps = /\.Bd -literal\n([^]+?)\.Ed/.exec(itemOf("maps")?.body ?? "")?.[1] ?? "";
    const overrides = /Default:\n\.Li (.+)/.exec(itemOf("overrides")?.body ?? "")?.[1] ?? "";
    expect({
      listen: parse(listen.replaceAll("\\(dq", '"')),
      maps: parse(maps),
      overrides: parse(overrides),
    }).toEqual({
      listen: valueAt(defaults, ["listen"]),
      maps: valueAt(defaults, ["maps"]),
      overrides: valueAt(defaults, ["overrides"]),
    });
  });

  it.each(scalars.map((path) => ({ key: path.join("."), path })))(
    "has the bounds and choices of $key",
    ({ key, path }) => {
      const { title = "", body = "" } = itemOf(key) ?? {};
      const bounds = ["999999d", "99999GiB", "-1"].flatMap((value) => boundsOf(path, value));
      expect(/ Pq (.+)$/.exec(title)?.[1]).toBe(bounds[0]);
      for (const choice of choicesOf(path)) expect(body).toMatch(new RegExp(`\\b${choice}\\b`));
    },
  );
});

describe("stsmapd(8)", () => {
  const page = manPage("stsmapd.8");
  const general = new Set(["-c, --config", "-h, --help", "-V, --version"]);
  const commands = withSubcommands(describeCommand(createProgram(() => {})));
  const options = items(page).filter(({ title }) => title.startsWith("Fl "));

  it("has every command, and no other", () => {
    const names = commands.map(({ path }) => path.join(" ")).filter((name) => name !== "");
    expect(headings(page, "Ss").toSorted()).toEqual([...names, "General options"].toSorted());
  });

  it.each(commands.map((command) => ({ name: command.path.join(" "), command })))(
    "has the options of stsmapd $name, and no other",
    ({ name, command }) => {
      const flags = command.options.map((option) => option.flags.join(", "));
      const written = options.filter(({ heading }) => heading === name).map(({ title }) => flagsOf(title));
      expect(written.toSorted()).toEqual(flags.filter((flag) => !general.has(flag)).toSorted());
    },
  );

  it("has the options of all commands", () => {
    const written = options.filter(({ heading }) => heading === "General options");
    expect(written.map(({ title }) => flagsOf(title)).toSorted()).toEqual([...general].toSorted());
  });

  it("names every command in its synopsis", () => {
    const synopsis = /^\.Sh SYNOPSIS\n([^]+?)^\.Sh /m.exec(page)?.[1] ?? "";
    const named = [...synopsis.matchAll(/^\.Cm (.+)$/gm)].map(([, name = ""]) => name);
    const leaves = commands.filter((command) => command.commands.length === 0);
    expect(named.toSorted()).toEqual(leaves.map(({ path }) => path.join(" ")).toSorted());
  });

  it("has every exit status", () => {
    const statuses = items(page).filter(({ heading }) => heading === "EXIT STATUS");
    expect(statuses.map(({ title }) => Number(title))).toEqual([...new Set<number>(Object.values(ExitCode))]);
  });
});

describe.skipIf(!hasProgram("mandoc"))("mandoc (Debian's package mandoc)", () => {
  it.each(["stsmapd.8", "stsmapd.yaml.5"])("finds nothing wrong with %s", (name) => {
    const path = fileURLToPath(new URL(`../../man/${name}`, import.meta.url));
    // It exits with a status above 0 where it warns.
    expect(execFileSync("mandoc", ["-T", "lint", "-W", "warning", path], { encoding: "utf8" })).toBe("");
  });
});

function keysOf(fields: Readonly<Record<string, Field<unknown>>>, above: string[] = []): string[][] {
  return Object.entries(fields).flatMap(([key, field]) =>
    isSection(field) ? keysOf(field.fields, [...above, key]) : [[...above, key]],
  );
}

/** The keys that `text`, which has a wrong one, could have had. */
function allowedKeys(text: string): string[] {
  const [, keys = ""] = /unknown key \((.+)\)/.exec(problemsOf(text).join("\n")) ?? [];
  return keys.split(", ");
}

/** `1ms to 1m`, where `value` is beyond it. */
function boundsOf(path: readonly string[], value: string): string[] {
  const [, bounds] = /\((\S+ to \S+)\)/.exec(problemWith(path, value)) ?? [];
  return bounds === undefined ? [] : [bounds];
}

function choicesOf(path: readonly string[]): string[] {
  const [, choices] = /is not a choice \((.+)\)/.exec(problemWith(path, "no_such_choice")) ?? [];
  return choices?.split(", ") ?? [];
}

/** What is said of `value` at `path`; empty if nothing is. */
function problemWith(path: readonly string[], value: string): string {
  return problemsOf(`${path.join(": { ")}: ${value}${" }".repeat(path.length - 1)}`).join("\n");
}

/** `Cm dns.timeout : Ar duration` → `dns.timeout`. */
function keyOf(title: string): string {
  return /^Cm (\S+) : Ar /.exec(title)?.[1] ?? title;
}

/** `Fl c , Fl -config Ar file` → `-c, --config`. */
function flagsOf(title: string): string {
  return [...title.matchAll(/Fl (\S+)/g)].map(([, flag]) => `-${flag}`).join(", ");
}

function valueAt(tree: unknown, path: readonly string[]): unknown {
  return path.reduce((value, key) => (value instanceof Object ? Reflect.get(value, key) : undefined), tree);
}
