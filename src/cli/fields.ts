/** The lines of a report for people: a label, and what there is to say. */

const LABEL_WIDTH = 10;

/** One line. Control characters in `text` are made visible. */
export function field(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${printable(text)}`;
}

/** A line for each text, the first of them with the label. */
export function labelled(label: string, texts: readonly string[]): string[] {
  return texts.map((text, index) => field(index === 0 ? label : "", text));
}

/** A name in DNS may hold any octet, so that it could command the terminal or forge a line: `\x1b` for ESC. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
