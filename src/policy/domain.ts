/** Domain names: from the key Postfix sends to the policy domain, and what counts as a host name. */
import { domainToASCII } from "node:url";

/** Labels of letters, digits, hyphens inside, and underscores, which Postfix's valid_hostname() allows too. */
const NEXT_HOP_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** RFC 5321 §4.1.2 sub-domain: no underscores. */
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const ALL_DIGITS = /^[0-9]+$/;

/** RFC 1035 §2.3.4 allows 255 octets on the wire, which are 253 characters. */
const MAX_NAME_LENGTH = 253;

/** A policy domain must leave room for `_mta-sts.` in front. */
const MAX_POLICY_DOMAIN_LENGTH = MAX_NAME_LENGTH - "_mta-sts.".length;

/** A port or service name behind the last colon; Postfix takes both. */
const PORT_SUFFIX = /:[A-Za-z0-9-]+$/;

/**
 * Octets of UTF-8 for a name, and for a label of it, that domainToASCII is given: as many as the longest A-labels have
 * characters, four octets each. It takes time that grows with the square of the length.
 */
const MAX_UTF8_NAME = 4 * MAX_NAME_LENGTH;
const MAX_UTF8_LABEL = 4 * 63;

/** Octets of a next hop: such a name, brackets, a colon and a port, whose name may be long. */
const MAX_NEXT_HOP = MAX_UTF8_NAME + 128;

/** The dots of UTS 46. */
const ANY_DOT = /[.\u3002\uff0e\uff61]/;

const NON_ASCII = /[^\0-\x7f]/;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The policy domain of a next hop: `example.com`, `example.com:587`, `[mx.example.com]` and `[mx.example.com]:587` have
 * one (RFC 8461 §3.4: an explicit host is its own policy domain), as lower-case A-labels without a final dot.
 *
 * @param key the lookup key, one char per octet received (latin1)
 * @returns undefined for what can have no policy: addresses, paths, `.parent` keys, single labels, bad UTF-8, and
 *   what is longer than any next hop
 */
export function policyDomain(key: string): string | undefined {
  // Whoever sends the longest keys that the protocols allow shall cost others no time.
  if (key.length > MAX_NEXT_HOP) return undefined;
  const host = hostOfNextHop(key);
  if (host === undefined) return undefined;
  const name = NON_ASCII.test(host) ? toALabels(host) : host.toLowerCase();
  if (name === undefined) return undefined;
  const domain = name.endsWith(".") ? name.slice(0, -1) : name;
  if (domain.length > MAX_POLICY_DOMAIN_LENGTH) return undefined;
  const labels = domain.split(".");
  if (labels.length < 2) return undefined;
  return labels.every((label) => NEXT_HOP_LABEL.test(label)) && !hasNumericEnd(labels) ? domain : undefined;
}

/**
 * Whether `name` (lower case) is a host name as RFC 5321 writes it: A-labels, no final dot, no address.
 */
export function isHostName(name: string): boolean {
  if (name.length > MAX_NAME_LENGTH) return false;
  const labels = name.split(".");
  return labels.every((label) => HOST_LABEL.test(label)) && !hasNumericEnd(labels);
}

/** Strips brackets and port. Brackets and ports are ASCII, so this works on octets as well as on characters. */
function hostOfNextHop(key: string): string | undefined {
  if (key.startsWith("[")) {
    const end = key.indexOf("]");
    const rest = key.slice(end + 1);
    if (end < 0 || (rest !== "" && rest.replace(PORT_SUFFIX, "") !== "")) return undefined;
    return key.slice(1, end);
  }
  return key.replace(PORT_SUFFIX, "");
}

/** UTS 46 to A-labels. ASCII beside the foreign letters is checked first: the URL parser behind would unescape it. */
function toALabels(octets: string): string | undefined {
  if (octets.length > MAX_UTF8_NAME) return undefined;
  let text: string;
  try {
    text = UTF8.decode(Buffer.from(octets, "latin1"));
  } catch {
    return undefined;
  }
  if (/[\0-\x7f]/.test(text.replace(/[A-Za-z0-9_.-]/g, ""))) return undefined;
  if (text.split(ANY_DOT).some((label) => Buffer.byteLength(label) > MAX_UTF8_LABEL)) return undefined;
  const ascii = domainToASCII(text);
  return ascii === "" ? undefined : ascii;
}

/** A name whose last label is a number is an address or nothing (RFC 3696 §2): no such top-level domain can exist. */
function hasNumericEnd(labels: readonly string[]): boolean {
  return ALL_DIGITS.test(labels.at(-1) ?? "");
}
