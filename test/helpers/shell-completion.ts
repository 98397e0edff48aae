/** Real shells, asked what they would offer for a line that ends where the cursor is. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether Debian's package of this name is there: each has an executable of its own name. */
export function hasProgram(name: string): boolean {
  return spawnSync(name, ["--version"]).error === undefined;
}

/** What bash offers: the function is called as readline calls it. */
export function offeredByBash(script: string, line: string): string[] {
  // As COMP_WORDBREAKS has it: "=" is a word of its own.
  const words = line.split(/ +|(=)/).filter((word) => word !== undefined);
  const driver = `${script}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_stsmapd
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return lines(
    execFileSync("bash", ["--norc", "-c", driver, "bash", ...words], { encoding: "utf8", timeout: 15_000 }),
  );
}

/** What fish offers, without the descriptions. */
export function offeredByFish(script: string, line: string): string[] {
  const home = mkdtempSync(join(tmpdir(), "stsmapd-fish-"));
  try {
    const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home };
    const driver = `${script}\ncomplete -C $LINE`;
    const offered = execFileSync("fish", ["--no-config", "-c", driver], {
      encoding: "utf8",
      env: { ...env, LINE: line },
      timeout: 15_000,
    });
    return lines(offered).map((offer) => offer.split("\t")[0] ?? "");
  } finally {
    rmSync(home, { recursive: true });
  }
}

/** What zsh offers: the line and a tab are typed into an interactive one, whose completion tells what it adds. */
export function offeredByZsh(script: string, line: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), "stsmapd-zsh-"));
  try {
    const inner = join(folder, "inner.zsh");
    writeFileSync(join(folder, "script.zsh"), script);
    writeFileSync(inner, ZSH_INNER);
    const env = { ...process.env, HOME: folder, LINE: line, FOLDER: folder };
    return lines(execFileSync("zsh", ["-f", "-c", ZSH_OUTER], { encoding: "utf8", env, timeout: 15_000 }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const ZSH_INNER = `
PS1=
autoload -Uz compinit
compinit -D -u
source $FOLDER/script.zsh
compadd() {
  # With these it adds nothing, but fills a variable.
  if (( ! $argv[(I)-[OAD]] )); then
    local -a matches
    builtin compadd -O matches "$@"
    print -rl -- $matches >>$FOLDER/offered
  fi
  builtin compadd "$@"
}
tell() { _main_complete; exit }
zle -C tell complete-word tell
bindkey '^I' tell
print rea''dy
`;

const ZSH_OUTER = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source $FOLDER/inner.zsh'
zpty -r shell output '*ready*'
zpty -w -n shell "$LINE"$'\\t'
while zpty -r shell output; do :; done
[[ ! -e $FOLDER/offered ]] || print -r -- "$(<$FOLDER/offered)"
`;

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
