/** A value the schema refuses. The message says what is wrong and, in brackets, what is allowed. */
export class BadValue extends Error {
  override readonly name = "BadValue";
}

/** `value` as a message may quote it: on one line and not too long. */
export function quote(value: unknown): string {
  const text = typeof value === "object" && value !== null ? kindOf(value) : JSON.stringify(value);
  return text === undefined ? "nothing" : text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** What YAML calls the kind of `value`. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : `a ${typeof value}`;
}
