/** `stsmapd completion`: the script that completes the command line, for each shell. */
import process from "node:process";
import type { Command } from "commander";

import { bashCompletion } from "./completion/bash.ts";
import { describeCommand } from "./completion/description.ts";
import type { CommandDescription } from "./completion/description.ts";
import { fishCompletion } from "./completion/fish.ts";
import type { Shell } from "./completion/shells.ts";
import { zshCompletion } from "./completion/zsh.ts";
import { ExitCode } from "./exit-code.ts";

const SCRIPTS: Readonly<Record<Shell, (name: string, program: CommandDescription) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Prints the script for `shell`, which knows the commands and options of `program`. */
export function completion(program: Command, shell: Shell): number {
  process.stdout.write(SCRIPTS[shell](program.name(), describeCommand(program)));
  return ExitCode.ok;
}
