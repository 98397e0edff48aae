/** Commands that an administrator can paste into a shell. */

/** `text` as one word of sh(1). */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The commands for one Postfix instance. */
export class PostfixCommands {
  readonly #folder: string | undefined;

  /** @param folder that of main.cf; undefined for the default */
  constructor(folder: string | undefined) {
    this.#folder = folder;
  }

  /** Sets parameters of main.cf. */
  set(parameters: Readonly<Record<string, string>>): string[] {
    const words = Object.entries(parameters).map(([name, value]) => shellWord(`${name} = ${value}`));
    return [this.postconf("-e", ...words), this.reload];
  }

  /** Runs postconf(1) with these words, which are taken as they are, and has Postfix read what it wrote. */
  edit(...words: readonly string[]): string[] {
    return [this.postconf(...words), this.reload];
  }

  postconf(...words: readonly string[]): string {
    return ["postconf", ...this.#option, ...words].join(" ");
  }

  /** Has a running Postfix read its configuration again. */
  get reload(): string {
    return ["postfix", ...this.#option, "reload"].join(" ");
  }

  get #option(): string[] {
    return this.#folder === undefined ? [] : ["-c", shellWord(this.#folder)];
  }
}
