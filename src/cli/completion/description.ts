/** What a completion has to know of the command line, taken from the commands themselves. */
import type { Argument, Command, Option } from "commander";

/** What may follow: one of these words, the name of a file, or a text that no shell can know. */
export type Value =
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "file" | "text" };

export interface OptionDescription {
  /** `-c` and `--config`, or one of them. */
  readonly flags: readonly string[];
  readonly description: string;
  /** undefined: it takes none. */
  readonly value: Value | undefined;
}

export interface CommandDescription {
  readonly name: string;
  /** The words that lead to it: `["cache", "list"]`; none for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly OptionDescription[];
  readonly arguments: readonly Value[];
  /** The commands right below it. */
  readonly commands: readonly CommandDescription[];
}

/** Describes `command` and all below it, as its help would show them. */
export function describeCommand(command: Command, path: readonly string[] = []): CommandDescription {
  const help = command.createHelp();
  return {
    name: command.name(),
    path,
    description: command.description(),
    options: help.visibleOptions(command).map(describeOption),
    arguments: command.registeredArguments.map(valueOf),
    commands: help.visibleCommands(command).map((below) => describeCommand(below, [...path, below.name()])),
  };
}

/** `command` and all below it. */
export function withSubcommands(command: CommandDescription): CommandDescription[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function describeOption(option: Option): OptionDescription {
  return {
    flags: [option.short, option.long].filter((flag) => flag !== undefined && flag !== null),
    description: option.description,
    value: option.required || option.optional ? optionValue(option) : undefined,
  };
}

function optionValue(option: Option): Value {
  return option.flags.endsWith("<file>") ? { kind: "file" } : words(option.argChoices);
}

function valueOf(argument: Argument): Value {
  return argument.name() === "file" ? { kind: "file" } : words(argument.argChoices);
}

function words(choices: readonly string[] | undefined): Value {
  return choices === undefined ? { kind: "text" } : { kind: "words", words: choices };
}
