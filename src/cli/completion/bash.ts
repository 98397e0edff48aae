/** The script for bash. It needs no bash-completion, and starts no process. */
import type { CommandDescription, Value } from "./description.ts";
import { withSubcommands } from "./description.ts";

/** The script that completes `name`, as described by `program`. */
export function bashCompletion(name: string, program: CommandDescription): string {
  const commands = withSubcommands(program);
  const paths = commands.filter(({ path }) => path.length > 0).map(({ path }) => `"${path.join(" ")}"`);
  return `# bash completion for ${name}, made by "${name} completion bash"

_${name}_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}

_${name}_files() {
  # The shell then quotes what is odd in a name, and goes on into a folder.
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} last=$((COMP_CWORD - 1)) command= word i
  # COMP_WORDBREAKS cuts --option=value into three words.
  if [[ $current == = ]]; then
    current=
  elif [[ \${COMP_WORDS[last]} == = ]]; then
    last=$((last - 1))
  fi
  for ((i = 1; i <= last; i++)); do
    word=\${COMP_WORDS[i]}
    case "\${command:+$command }$word" in
      ${paths.join(" | \\\n        ")}) command=\${command:+$command }$word ;;
    esac
  done
  COMPREPLY=()
  case "$command \${COMP_WORDS[last]}" in
${commands.flatMap((command) => valueCases(name, command)).join("\n")}
  esac
  case "$command/$current" in
${commands.flatMap((command) => wordCases(name, command)).join("\n")}
  esac
}

complete -F _${name} ${name}
`;
}

/** What may follow the options of a command that take a value. */
function valueCases(name: string, { path, options }: CommandDescription): string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === undefined) return [];
    const patterns = flags.map((flag) => `"${path.join(" ")} ${flag}"`);
    return `    ${patterns.join(" | ")})${reply(name, value)} return ;;`;
  });
}

/** What else may follow a command: its options, and the commands below it or its argument. */
function wordCases(name: string, { path, options, arguments: args, commands }: CommandDescription): string[] {
  const flags = options.flatMap((option) => option.flags);
  const below = commands.map((command) => command.name);
  const value: Value = below.length > 0 ? { kind: "words", words: below } : (args[0] ?? { kind: "text" });
  const cases = [[`-`, { kind: "words", words: flags }] as const, ["", value] as const];
  return cases
    .filter(([, { kind }]) => kind !== "text")
    .map(([start, what]) => `    "${path.join(" ")}/${start}"*)${reply(name, what)};`);
}

function reply(name: string, value: Value): string {
  if (value.kind === "words") return ` _${name}_words "${value.words.join(" ")}";`;
  return value.kind === "file" ? ` _${name}_files;` : "";
}
