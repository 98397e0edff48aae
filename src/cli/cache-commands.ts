/** `stsmapd cache …` on the command line. Each command's code is loaded only when it is called. */
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";

import { parseDuration } from "../config/units.ts";
import type { PolicyMode } from "../policy/policy.ts";
import type { ForeignSource } from "./cache-import.ts";

interface Common {
  readonly config?: string;
  readonly json?: boolean;
}

interface ListArguments extends Common {
  readonly mode?: PolicyMode;
  readonly olderThan?: number;
  readonly expiresWithin?: number;
  readonly failed?: boolean;
  readonly wouldEnforce?: true;
  readonly map?: string;
}

/**
 * Adds the commands below `cache`.
 *
 * @param configOption the option that every command has
 * @param finish takes the exit status of the command that was run
 */
export function addCacheCommands(
  cache: Command,
  configOption: Option,
  finish: (status: number) => void,
): void {
  cache
    .description("look at the policies that are remembered, and change them")
    .helpCommand(false)
    .addHelpText("after", CACHE_HELP);
  const command = (name: string, description: string) =>
    cache.command(name).description(description).addOption(configOption);

  command("list", "list what is remembered, by domain names")
    .addOption(
      new Option("--mode <mode>", "only policies in this mode").choices(["enforce", "testing", "none"]),
    )
    .option("--older-than <time>", "only policies fetched longer ago than this: 12h, 30d", duration)
    .option(
      "--expires-within <time>",
      "only policies that expire within this time, or have expired",
      duration,
    )
    .option("--failed", "only domains whose last fetch failed")
    .option("--would-enforce", "only policies that the rollout of a map holds back")
    .option("--map <name>", "with --would-enforce: only by this map")
    .addOption(json(" Lines, as export does"))
    .action(async (options: ListArguments) => {
      const { cacheList } = await import("./cache-list.ts");
      finish(await cacheList(options));
    });

  command("show", "explain what is known of a domain, and what is answered")
    .argument("<domain>")
    .addOption(json(""))
    .action(async (domain: string, options: Common) => {
      const { cacheShow } = await import("./cache-show.ts");
      finish(await cacheShow(domain, options));
    });

  command("refresh", "look for the record and fetch the policy now, even if the id is the same")
    .argument("[domain]")
    .option("--all", "every domain with a policy, fifty a second at most")
    .addOption(json(" Lines"))
    .action(async (domain: string | undefined, options: Common & { all?: boolean }) => {
      const { cacheRefresh } = await import("./cache-refresh.ts");
      finish(await cacheRefresh(domain, options));
    });

  command("forget", "delete what is known of a domain; asks first on a terminal")
    .argument("<domain>")
    .option("-y, --yes", "do not ask")
    .action(async (domain: string, options: Common & { yes?: boolean }) => {
      const { cacheForget } = await import("./cache-forget.ts");
      finish(await cacheForget(domain, options));
    });

  command("export", "print everything as JSON Lines, for import").action(async (options: Common) => {
    const { cacheList } = await import("./cache-list.ts");
    finish(await cacheList({ ...options, json: true }));
  });

  command("import", "take over an export, or the cache of another daemon")
    .argument("[file]", "the export, or the other daemon's file; - for standard input", "-")
    .addOption(
      new Option("--from <daemon>", "whose file it is").choices(["mta-sts-daemon", "postfix-tlspol"]),
    )
    .addOption(json(" Lines, one for each line"))
    .action(async (file: string, options: Common & { from?: ForeignSource }) => {
      const { cacheImport } = await import("./cache-import.ts");
      finish(await cacheImport(file, options));
    });
}

function json(more: string): Option {
  return new Option("--json", `print JSON${more}`);
}

function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    throw new InvalidArgumentError("Want 500ms, 20s, 5m, 1h, 60d, or whole seconds.");
  }
}

const CACHE_HELP = `
The running daemon is asked by its admin socket; when it is down, its file is used. list and export read the file of a
running daemon themselves, where they can; --would-enforce asks it.

Exit status: 0 done, 1 nothing is known of the domain, 2 DNS or the policy host failed, 64 the command line is wrong,
65 lines were refused, 66 there is no such file, 69 the daemon does not answer, 73 the cache could not be opened,
77 the admin socket is not for this user.`;
