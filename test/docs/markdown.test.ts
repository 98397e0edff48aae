/** The pages lead where they say, and show only commands there are. */
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { CommanderError } from "commander";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import { anchors, commandLines, localLinks, pages, readPage, root } from "./markdown.ts";

describe.each(pages().map((page) => ({ page })))("$page", ({ page }) => {
  const text = readPage(page);

  it("links to files and headings there are", () => {
    const broken = localLinks(text).filter((target) => {
      const [path = "", fragment] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(join(root, file))) return true;
      return fragment !== undefined && !anchors(readPage(file)).includes(fragment);
    });
    expect(broken).toEqual([]);
  });

  it("shows commands and options there are", async () => {
    const wrong: string[] = [];
    for (const line of commandLines(text, "stsmapd")) {
      const fault = await faultOf(line);
      if (fault !== undefined) wrong.push(`${line}: ${fault}`);
    }
    expect(wrong).toEqual([]);
  });
});

it("README.md lists every page in docs/", () => {
  const links = localLinks(readPage("README.md"));
  expect(pages().filter((page) => page.startsWith("docs/") && !links.includes(page))).toEqual([]);
});

/** What is no fault: help, and a command that is only mentioned. */
const HARMLESS = new Set([
  "commander.help",
  "commander.helpDisplayed",
  "commander.version",
  "commander.missingArgument",
]);

/** What the program has against the command line; undefined where it would have run. */
async function faultOf(line: string): Promise<string | undefined> {
  const program = createProgram(() => {});
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0) command.action(() => {});
  }
  try {
    await program.parseAsync(argumentsOf(line), { from: "user" });
    return undefined;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return HARMLESS.has(error.code) ? undefined : error.message;
  }
}

/** `<next hop>` is one word, `…` stands for whatever follows, and redirections are the shell's. */
function argumentsOf(line: string): string[] {
  const plain = line.replaceAll(/<[^<>]+>/g, "placeholder").replace(/ (?:…|[<>]).*$/, "");
  return plain.split(" ").slice(1);
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}
