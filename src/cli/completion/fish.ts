/** The script for fish. */
import type { CommandDescription, OptionDescription, Value } from "./description.ts";
import { withSubcommands } from "./description.ts";

/** The script that completes `name`, as described by `program`. */
export function fishCompletion(name: string, program: CommandDescription): string {
  const commands = withSubcommands(program);
  const paths = commands.filter(({ path }) => path.length > 0).map(({ path }) => quote(path.join(" ")));
  const lines = commands.flatMap((command) => commandLines(name, command));
  return `# fish completion for ${name}, made by "${name} completion fish"

function __${name}_at --description 'Whether the words typed so far lead to this command'
    set -l command
    for word in (commandline -opc)[2..]
        switch (string join ' ' -- $command $word)
            case ${paths.join(" ")}
                set -a command $word
        end
    end
    test "$command" = "$argv"
end

complete -c ${name} -f
${lines.join("\n")}
`;
}

function commandLines(name: string, command: CommandDescription): string[] {
  const { path, options, arguments: args, commands } = command;
  const start = `complete -c ${name} -n ${quote([`__${name}_at`, ...path].join(" "))}`;
  const below = commands.map((next) => `${start} -a ${quote(next.name)} -d ${quote(next.description)}`);
  const [first] = args;
  const argument = first === undefined || first.kind === "text" ? [] : [`${start} ${valueFlags(first)}`];
  return [...below, ...argument, ...options.map((option) => `${start} ${optionFlags(option)}`)];
}

function optionFlags({ flags, description, value }: OptionDescription): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const takes = value === undefined ? [] : value.kind === "file" ? ["-r -F"] : ["-x", valueFlags(value)];
  return [...names, ...takes, `-d ${quote(description)}`].filter((part) => part !== "").join(" ");
}

function valueFlags(value: Value): string {
  if (value.kind === "words") return `-a ${quote(value.words.join(" "))}`;
  return value.kind === "file" ? "-F" : "";
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
