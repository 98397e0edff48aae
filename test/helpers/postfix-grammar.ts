/**
 * Reads replies as Postfix does (smtp_tls_policy.c, dict_sockmap.c, dict_tcp.c) and refuses what Postfix would refuse. It
 * also refuses what Postfix takes but stsmapd must never say. Written apart from src/policy, so that one can find the
 * other's mistakes.
 */
import type { Reply } from "../../src/policy/reply.ts";

/** 3.7 knows the attributes of 3.4; 3.11 those of 3.10 too. */
export type PostfixVersion = "3.7" | "3.11";

const LEVELS = ["none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"] as const;
type TlsLevel = (typeof LEVELS)[number];

export interface ParsedTlsPolicy {
  readonly level: TlsLevel;
  readonly match: readonly string[];
  readonly servername: string | undefined;
  readonly policyType: string | undefined;
  readonly policyDomain: string | undefined;
  readonly policyStrings: readonly string[];
  readonly mxHostPatterns: readonly string[];
}

export type CheckedReply =
  | { readonly status: "OK"; readonly policy: ParsedTlsPolicy }
  | { readonly status: "NOTFOUND" }
  | { readonly status: "TEMP"; readonly reason: string };

const SOCKETMAP_LIMIT = 100_000;
const TCP_TABLE_LIMIT = 4_096;
const REASON_LIMIT = 200;

/** Understood from 3.10 on; an "invalid attribute name" before. */
const ATTRIBUTES_310 = [
  "policy_type",
  "policy_domain",
  "policy_string",
  "mx_host_pattern",
  "policy_ttl",
  "policy_failure",
];
const REPEATABLE = new Set(["match", "policy_string", "mx_host_pattern"]);
const PLAIN_ATTRIBUTES = ["servername", "ciphers", "protocols", "exclude", "connection_reuse"];

/**
 * Parses a TLS policy as Postfix of that version would.
 *
 * @throws Error with the reason why Postfix refuses it, or why stsmapd must not say it
 */
export function checkPolicyText(text: string, { version }: { version: PostfixVersion }): ParsedTlsPolicy {
  if (!text.isWellFormed()) throw new Error("text has no UTF-8 form");
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text)) throw new Error("control character");
  if (Buffer.byteLength(`OK ${text}`) > SOCKETMAP_LIMIT) throw new Error("longer than a socketmap reply");
  const [first, ...tokens] = tokenize(text);
  if (first === undefined) throw new Error("empty policy");
  const level = LEVELS.find((candidate) => candidate === first.toLowerCase());
  if (level === undefined) throw new Error(`invalid security level "${first}"`);
  if (level === "none" && tokens.length > 0) throw new Error("attribute with TLS disabled");

  const values = new Map<string, string[]>();
  for (const token of tokens) {
    const [name, value] = nameAndValue(token, version);
    checkAttribute(name, value, level, version);
    const earlier = values.get(name);
    if (earlier !== undefined && !REPEATABLE.has(name)) throw new Error(`${name} given twice`);
    values.set(name, [...(earlier ?? []), value]);
  }
  if (!values.has("policy_type") && ATTRIBUTES_310.some((name) => values.has(name))) {
    throw new Error("policy attribute without policy_type");
  }
  const separator = level === "fingerprint" ? "|" : ":";
  return {
    level,
    match: (values.get("match") ?? []).flatMap((value) => value.split(separator)),
    servername: values.get("servername")?.[0],
    policyType: values.get("policy_type")?.[0],
    policyDomain: values.get("policy_domain")?.[0],
    policyStrings: values.get("policy_string") ?? [],
    mxHostPatterns: values.get("mx_host_pattern") ?? [],
  };
}

/**
 * Checks a reply of stsmapd: Postfix takes it, and it says one of the few things that stsmapd may say.
 *
 * @throws Error with the reason
 */
export function checkReply(reply: Reply, attributes: "3.4" | "3.10"): CheckedReply {
  if (reply.status === "NOTFOUND") return { status: "NOTFOUND" };
  if (reply.status === "TEMP") return { status: "TEMP", reason: checkReason(reply.reason) };
  const version = attributes === "3.4" ? "3.7" : "3.11";
  const policy = checkPolicyText(reply.text, { version });
  checkMeaning(policy, attributes);
  const short = checkPolicyText(reply.shortText, { version });
  if (JSON.stringify(short) !== JSON.stringify({ ...policy, policyStrings: [] })) {
    throw new Error("shortText differs from text in more than the policy strings");
  }
  return { status: "OK", policy };
}

/**
 * Checks one socketmap reply, without its netstring frame.
 *
 * @throws Error with the reason
 */
export function checkSocketmapReply(payload: Uint8Array, version: PostfixVersion = "3.11"): CheckedReply {
  if (payload.length > SOCKETMAP_LIMIT) throw new Error("longer than a socketmap reply");
  const reply = decodeUtf8(payload);
  if (reply.startsWith("OK ")) return { status: "OK", policy: checkPolicyText(reply.slice(3), { version }) };
  if (reply === "NOTFOUND ") return { status: "NOTFOUND" };
  if (reply.startsWith("TEMP ")) return { status: "TEMP", reason: checkReason(reply.slice(5)) };
  throw new Error("neither `OK `, `NOTFOUND ` nor `TEMP `");
}

/**
 * Checks one tcp_table reply, without the newline at its end.
 *
 * @throws Error with the reason
 */
export function checkTcpTableReply(line: string, version: PostfixVersion = "3.11"): CheckedReply {
  if (Buffer.byteLength(`${line}\n`) > TCP_TABLE_LIMIT) throw new Error("longer than a tcp_table reply");
  const status = line.slice(0, 4);
  const text = percentDecode(line.slice(4));
  if (text === "") throw new Error("no text");
  if (status === "200 ") return { status: "OK", policy: checkPolicyText(text, { version }) };
  if (status === "500 ") return { status: "NOTFOUND" };
  if (status === "400 ") return { status: "TEMP", reason: checkReason(text) };
  throw new Error("neither `200 `, `500 ` nor `400 `");
}

/** mystrtokq(): separators count only outside of braces. */
function tokenize(text: string): string[] {
  const tokens: string[] = [];
  let token = "";
  let depth = 0;
  for (const char of text) {
    if (char === "{") depth++;
    if (char === "}") depth--;
    if (depth < 0) throw new Error("unbalanced braces");
    if (depth === 0 && ", \t\r\n".includes(char)) {
      if (token !== "") tokens.push(token);
      token = "";
    } else {
      token += char;
    }
  }
  if (depth > 0) throw new Error("unbalanced braces");
  return token === "" ? tokens : [...tokens, token];
}

/** extpar() and split_nameval(). Only ASCII white space is white space. */
function nameAndValue(token: string, version: PostfixVersion): [name: string, value: string] {
  let pair = token;
  if (token.startsWith("{")) {
    if (version === "3.7") throw new Error("braces before Postfix 3.10");
    if (closingBrace(token) !== token.length - 1) throw new Error("text after the closing brace");
    pair = token.slice(1, -1);
    if (/[\t\r\n]/.test(pair)) throw new Error("tab or line break in braces");
  }
  const found = /^ *([^ =]+) *=([^]*)$/.exec(pair);
  if (found === null) throw new Error(`malformed attribute/value pair "${token}"`);
  const [, name = "", value = ""] = found;
  return [name.toLowerCase(), value.replace(/^ +/, "").replace(/(?<! ) +$/, "")];
}

function closingBrace(token: string): number {
  let depth = 0;
  for (let at = 0; at < token.length; at++) {
    if (token[at] === "{") depth++;
    if (token[at] === "}" && --depth === 0) return at;
  }
  return -1;
}

function checkAttribute(name: string, value: string, level: TlsLevel, version: PostfixVersion): void {
  const known = ["match", ...PLAIN_ATTRIBUTES, ...(version === "3.7" ? [] : ATTRIBUTES_310)];
  if (!known.includes(name)) throw new Error(`invalid attribute name "${name}"`);
  if (value === "") throw new Error(`empty ${name}`);
  switch (name) {
    case "match":
      checkMatch(value, level);
      break;
    case "servername":
    case "policy_domain":
      if (!isHostName(value)) throw new Error(`${name} is no host name`);
      break;
    case "policy_type":
      if (!["sts", "tlsa", "no-policy-found"].includes(value)) throw new Error("unexpected policy_type");
      // Postfix would report success for certificates it never checked.
      if (value === "sts" && level === "may") throw new Error("policy_type=sts at level may");
      break;
    case "mx_host_pattern":
      if (level === "dane" || level === "dane-only")
        throw new Error("mx_host_pattern enforced on DANE hosts");
      if (!isHostName(value.replace(/^\*\./, ""))) throw new Error("mx_host_pattern is no pattern");
      break;
    case "policy_ttl":
    case "policy_failure":
      throw new Error(`${name} must never be sent`);
  }
}

function checkMatch(value: string, level: TlsLevel): void {
  if (level === "fingerprint") {
    if (value.split("|").includes("")) throw new Error("empty entry in match");
    return;
  }
  if (level !== "secure" && level !== "verify") throw new Error(`match at level ${level}`);
  for (const entry of value.split(":")) {
    if (entry === "") throw new Error("empty entry in match");
    if (["hostname", "nexthop", "dot-nexthop"].includes(entry.toLowerCase())) {
      throw new Error("match strategy in the place of a name");
    }
    if (!isHostName(entry.replace(/^\./, ""))) throw new Error(`match entry "${entry}" is no host name`);
  }
}

/** What stsmapd may say of all that Postfix would take. */
function checkMeaning(policy: ParsedTlsPolicy, attributes: "3.4" | "3.10"): void {
  if (policy.level === "dane" || policy.level === "dane-only") return;
  if (policy.level !== "secure") throw new Error(`level ${policy.level} is no level of stsmapd`);
  if (policy.match.length === 0) throw new Error("secure without match");
  if (policy.servername !== "hostname") throw new Error("secure without servername=hostname");
  if (attributes === "3.4") return;
  // smtp_tls_enforce_sts_mx_patterns needs all three together.
  if (policy.policyType !== "sts") throw new Error("secure without policy_type=sts");
  if (policy.policyDomain === undefined) throw new Error("secure without policy_domain");
  const allowed = policy.mxHostPatterns.map((pattern) => pattern.replace(/^\*/, ""));
  if (allowed.join(":") !== policy.match.join(":")) throw new Error("mx_host_pattern and match differ");
}

/** valid_hostname(), and no address: not even one that only looks like one. */
function isHostName(name: string): boolean {
  if (name.length > 255 || /(^|\.)[0-9]+$/.test(name)) return false;
  return name.split(".").every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label));
}

function checkReason(reason: string): string {
  if (reason.trim() === "") throw new Error("no reason");
  if (reason.length > REASON_LIMIT) throw new Error("reason longer than Postfix logs");
  if (!/^[\x20-\x7e]+$/.test(reason)) throw new Error("reason is not printable ASCII");
  return reason;
}

/** hex_unquote() */
function percentDecode(text: string): string {
  if (!/^(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*$/.test(text)) throw new Error("not percent-encoded");
  const octets = text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decodeUtf8(Buffer.from(octets, "latin1"));
}

function decodeUtf8(octets: Uint8Array): string {
  try {
    // A byte-order mark is data to Postfix.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch (cause) {
    throw new Error("not UTF-8", { cause });
  }
}
