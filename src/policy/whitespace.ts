/**
 * White space as RFC 5234 WSP has it: space and tab, where JavaScript's trim() and `\s` reach further. Loops and not
 * expressions like /[ \t]+$/, which take quadratic time over a long run of spaces that somebody else chose.
 */

/** `text` without the spaces and tabs at its end. */
export function trimEndWsp(text: string): string {
  let end = text.length;
  while (end > 0 && isWsp(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

/** `text` without the spaces and tabs at its start and end. */
export function trimWsp(text: string): string {
  let start = 0;
  while (start < text.length && isWsp(text.charCodeAt(start))) start++;
  return trimEndWsp(text.slice(start));
}

function isWsp(char: number): boolean {
  return char === 0x20 || char === 0x09;
}
