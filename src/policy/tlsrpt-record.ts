/** The TLSRPT record, by which a domain asks for reports on TLS (RFC 8460 §3). */
import { trimWsp } from "./whitespace.ts";

/** What the TXT records at `_smtp._tls.<domain>` amount to. */
export type TlsrptRecordFinding =
  /** `text` to the letter: it is by this that collectors tell reports apart. */
  | { readonly kind: "record"; readonly text: string }
  /** None begins as a TLSRPT record does. */
  | { readonly kind: "none" }
  /** There is no *one* valid record, so the domain counts as one that wants no reports. */
  | { readonly kind: "invalid"; readonly reason: string };

/** RFC 8460 §3: to the letter, though the grammar would allow white space in front of the semicolon. */
const PREFIX = "v=TLSRPTv1;";

const EXTENSION_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const EXTENSION_VALUE = /^[\x21-\x3a\x3c\x3e-\x7e]+$/;

/** RFC 8460 §3: `,`, `;` and `!` of a URI must be percent-encoded. */
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[\x22-\x2b\x2d-\x3a\x3c-\x7e]+$/;

/** The two ways of delivery that RFC 8460 §3 knows. */
const DELIVERABLE = /^(?:mailto|https):/i;

/** The owner name to ask for the record of `domain`. */
export function tlsrptRecordName(domain: string): string {
  return `_smtp._tls.${domain}`;
}

/**
 * Judges all TXT records of one name together: exactly one must begin as a TLSRPT record, and that one must be valid.
 *
 * @param texts one string a record, its character-strings already joined, one char per octet
 */
export function findTlsrptRecord(texts: readonly string[]): TlsrptRecordFinding {
  const candidates = texts.filter((text) => text.startsWith(PREFIX));
  const [text] = candidates;
  if (text === undefined) return { kind: "none" };
  const reason =
    candidates.length > 1 ? `${candidates.length} TLSRPT records where one is allowed` : faultOf(text);
  return reason === undefined ? { kind: "record", text } : { kind: "invalid", reason };
}

function faultOf(text: string): string | undefined {
  const fields = text.slice(PREFIX.length).split(";").map(trimWsp);
  if (fields.at(-1) === "") fields.pop(); // the delimiter at the end is optional
  const uris: string[] = [];
  for (const [index, field] of fields.entries()) {
    const place = `field ${index + 2}`;
    const equals = field.indexOf("=");
    if (equals < 0) return `${place} is not of the form name=value`;
    const name = field.slice(0, equals);
    const value = field.slice(equals + 1);
    if (!EXTENSION_NAME.test(name)) return `${place} has a name that is not 1 to 32 of A-Z a-z 0-9 _ - .`;
    if (name === "rua") {
      uris.push(...value.split(",").map(trimWsp));
    } else if (!EXTENSION_VALUE.test(value)) {
      return `${place} has an empty value or a character that is not allowed in one`;
    }
  }
  if (uris.length === 0) return "rua is missing";
  if (!uris.every((uri) => URI.test(uri))) return "rua is not a list of URIs";
  return uris.some((uri) => DELIVERABLE.test(uri))
    ? undefined
    : "rua has neither a mailto: nor an https: URI";
}
