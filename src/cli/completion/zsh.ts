/** The script for zsh, over its own `_arguments`. */
import type { CommandDescription, OptionDescription, Value } from "./description.ts";
import { withSubcommands } from "./description.ts";

/** The script that completes `name`, as described by `program`; to be sourced, or found as `_name` on `fpath`. */
export function zshCompletion(name: string, program: CommandDescription): string {
  return `#compdef ${name}
# zsh completion for ${name}, made by "${name} completion zsh"

${withSubcommands(program)
  .map((command) => functionFor(name, command))
  .join("\n\n")}

if [[ $funcstack[1] == _${name} ]]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`;
}

function functionFor(name: string, command: CommandDescription): string {
  const specs = [
    ...command.options.map(optionSpec),
    ...(command.commands.length > 0
      ? ["'1: :->command'", "'*:: :->rest'"]
      : command.arguments.map((value, index) => quote(`${index + 1}: :${action(value)}`))),
  ];
  const take = `_arguments -s -S -C ${specs.join(" \\\n    ")}`;
  return `${functionName(name, command)}() {
  local curcontext=$curcontext state line
  ${take}${command.commands.length > 0 ? `\n${chooser(name, command.commands)}` : ""}
}`;
}

/** Offers the commands below, or hands the rest of the line to the one that was named. */
function chooser(name: string, commands: readonly CommandDescription[]): string {
  const offers = commands.map((command) => quote(`${command.name}:${command.description}`));
  const cases = commands.map((command) => `        ${command.name}) ${functionName(name, command)} ;;`);
  return `  case $state in
    command)
      local -a commands=(
        ${offers.join("\n        ")}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $line[1] in
${cases.join("\n")}
      esac
      ;;
  esac`;
}

/** `'(-c --config)'{-c,--config=}'[description]:value:action'`: each of the flags once, and one of them only. */
function optionSpec({ flags, description, value }: OptionDescription): string {
  const takes = value === undefined ? "" : `:value:${action(value)}`;
  const written = flags.map((flag) => (value !== undefined && flag.startsWith("--") ? `${flag}=` : flag));
  const rest = quote(`[${description.replaceAll(/[[\]:\\]/g, String.raw`\$&`)}]${takes}`);
  return written.length === 1
    ? `${written[0]}${rest}`
    : `'(${flags.join(" ")})'{${written.join(",")}}${rest}`;
}

function action(value: Value): string {
  if (value.kind === "words") return `(${value.words.join(" ")})`;
  return value.kind === "file" ? "_files" : " ";
}

function functionName(name: string, { path }: CommandDescription): string {
  return ["", name, ...path].join("_");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
