/** Names as we hold and compare them: text in lower case, without the final dot; the root is empty. */
import { DnsError } from "./resolver.ts";

/** 255 octets on the wire (RFC 1035 §2.3.4), in text and without the final dot. */
const MAX_NAME = 253;
const LABEL = /^[\x21-\x7e]{1,63}$/;

export function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/**
 * The normal form of a name that is to be asked for. Underscores and all other printable ASCII pass; `.` is the root.
 * Throws {@link DnsError} `bad-name` where a label or the name is empty or too long.
 */
export function checkedName(name: string): string {
  const normal = normalName(name);
  const fits = normal.length <= MAX_NAME && normal.split(".").every((label) => LABEL.test(label));
  if (fits || name === ".") return normal;
  throw new DnsError("bad-name", `not a name that DNS can hold: ${JSON.stringify(name.slice(0, 300))}`);
}
