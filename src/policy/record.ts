/** The MTA-STS TXT record (RFC 8461 §3.1). */
import { trimWsp } from "./whitespace.ts";

/** What the TXT records at `_mta-sts.<domain>` amount to. */
export type RecordFinding =
  | { readonly kind: "record"; readonly id: string }
  /** None begins as an MTA-STS record does. */
  | { readonly kind: "none" }
  /** There is no *one* valid record, so there is no policy to be had now. */
  | { readonly kind: "invalid"; readonly reason: string };

/**
 * The prefix by which RFC 8461 §3.1 tells MTA-STS records from other TXT data. The grammar also allows white space in front
 * of the semicolon, so such a record is counted and not passed over.
 */
const PREFIX = /^v=STSv1[ \t]*;/;

const ID_VALUE = /^[A-Za-z0-9]{1,32}$/;
const EXTENSION_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const EXTENSION_VALUE = /^[\x21-\x3a\x3c\x3e-\x7e]+$/;

/** The owner name to ask for the record of `domain`. */
export function recordName(domain: string): string {
  return `_mta-sts.${domain}`;
}

/**
 * Judges all TXT records of one name together: exactly one of them must be an MTA-STS record, and that one valid
 * (RFC 8461 §3.1).
 *
 * @param texts one string a record, its character-strings already joined, one char per octet
 */
export function findRecord(texts: readonly string[]): RecordFinding {
  const candidates = texts.filter((text) => PREFIX.test(text));
  const [text] = candidates;
  if (text === undefined) return { kind: "none" };
  if (candidates.length > 1) {
    return { kind: "invalid", reason: `${candidates.length} MTA-STS records where one is allowed` };
  }
  return parseRecord(text);
}

function parseRecord(text: string): RecordFinding {
  const fields = text.split(";").map(trimWsp);
  fields.shift(); // the version, which PREFIX has checked
  if (fields.at(-1) === "") fields.pop(); // the delimiter at the end is optional
  let id: string | undefined;
  for (const [index, field] of fields.entries()) {
    const place = `field ${index + 2}`;
    const equals = field.indexOf("=");
    if (equals < 0) return invalid(`${place} is not of the form name=value`);
    const name = field.slice(0, equals);
    const value = field.slice(equals + 1);
    if (!EXTENSION_NAME.test(name))
      return invalid(`${place} has a name that is not 1 to 32 of A-Z a-z 0-9 _ - .`);
    // RFC 8461 §3.1: of a repeated field the first counts, the rest are ignored.
    if (name === "id" && id === undefined) {
      if (!ID_VALUE.test(value)) return invalid(`${place}: id must be 1 to 32 letters or digits`);
      id = value;
    } else if (!EXTENSION_VALUE.test(value)) {
      return invalid(`${place} has an empty value or a character that is not allowed in one`);
    }
  }
  return id === undefined ? invalid("id is missing") : { kind: "record", id };
}

function invalid(reason: string): RecordFinding {
  return { kind: "invalid", reason };
}
