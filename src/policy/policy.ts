/** The MTA-STS policy file (RFC 8461 §3.2). */
import { isHostName } from "./domain.ts";
import { trimWsp } from "./whitespace.ts";

export type PolicyMode = "enforce" | "testing" | "none";

/** A policy as its owner published it. */
export interface Policy {
  readonly mode: PolicyMode;
  /** Seconds from the fetch for which the policy holds, at most {@link MAX_MAX_AGE}. */
  readonly maxAge: number;
  /** MX patterns in the file's order, lower case: `mx.example.com` or `*.example.com`. */
  readonly mx: readonly string[];
}

export interface ParsedPolicy {
  readonly policy: Policy;
  /** The file as served, without a byte-order mark. */
  readonly text: string;
}

/** The longest lifetime RFC 8461 §3.2 allows, in seconds (about a year). */
export const MAX_MAX_AGE = 31_557_600;

/**
 * What is wrong with the file.
 * - `encoding`: it is not UTF-8.
 * - `syntax`: a line is not `key: value`, or has a character that is not allowed there.
 * - `version`, `mode`, `max_age`, `mx`: that key is missing or has a value that is not allowed.
 */
export type PolicyErrorCode = "encoding" | "syntax" | "version" | "mode" | "max_age" | "mx";

/** The file is no policy: all of it is refused, and whoever holds an older policy keeps it (RFC 8461 §3.3). */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code: PolicyErrorCode;
  /** Counted from 1; undefined where the fault is that a line is missing. */
  readonly line: number | undefined;

  constructor(code: PolicyErrorCode, reason: string, line?: number, options?: ErrorOptions) {
    super(line === undefined ? reason : `line ${line}: ${reason}`, options);
    this.code = code;
    this.line = line;
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** sts-policy-ext-name, which the required keys fit too. */
const KEY = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;

/** sts-policy-ext-value: visible characters, beyond ASCII too, with single spaces or more between them. */
const EXTENSION_VALUE = /^[^\0-\x20\x7f](?:[^\0-\x1f\x7f]*[^\0-\x20\x7f])?$/;

const MODES: readonly PolicyMode[] = ["enforce", "testing", "none"];

/**
 * Parses a policy file.
 *
 * @param octets the body as served
 * @throws {PolicyError} when the file breaks the grammar in any place
 */
export function parsePolicy(octets: Uint8Array): ParsedPolicy {
  const text = decode(octets);
  let version: string | undefined;
  let mode: PolicyMode | undefined;
  let maxAge: number | undefined;
  const mx: string[] = [];
  for (const [index, line] of policyLines(text).entries()) {
    const number = index + 1;
    const [key, value] = splitLine(line, number);
    // RFC 8461 §3.2: of a repeated key other than mx the first counts, the rest are ignored.
    if (key === "version") version ??= versionValue(value, number);
    else if (key === "mode") mode ??= modeValue(value, number);
    else if (key === "max_age") maxAge ??= maxAgeValue(value, number);
    else if (key === "mx") mx.push(mxPattern(value, number));
  }
  if (version === undefined) throw new PolicyError("version", "version is missing");
  if (mode === undefined) throw new PolicyError("mode", "mode is missing");
  if (maxAge === undefined) throw new PolicyError("max_age", "max_age is missing");
  if (mx.length === 0 && mode !== "none")
    throw new PolicyError("mx", `mode ${mode} needs at least one mx line`);
  return { policy: { mode, maxAge, mx }, text };
}

/**
 * The lines of a policy file without their terminators. Only LF and CRLF end a line (RFC 8461 §3.2), and blank lines at
 * the very end do not count.
 */
export function policyLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  while (lines.length > 1 && lines.at(-1) === "") lines.pop();
  return lines;
}

/** RFC 8461 §4.1: whether `host` (lower case, no final dot) is an MX host that `pattern` allows. */
export function mxPatternMatches(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  const dot = host.indexOf(".");
  return dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** A byte-order mark at the start is tolerated; TextDecoder drops it. */
function decode(octets: Uint8Array): string {
  try {
    return UTF8.decode(octets);
  } catch (cause) {
    throw new PolicyError("encoding", "the file is not valid UTF-8", undefined, { cause });
  }
}

/** `key ":" *WSP value *WSP` */
function splitLine(line: string, number: number): [key: string, value: string] {
  const colon = line.indexOf(":");
  const key = line.slice(0, colon);
  const value = trimWsp(line.slice(colon + 1));
  if (colon < 0 || !KEY.test(key)) throw new PolicyError("syntax", "not of the form key: value", number);
  if (!EXTENSION_VALUE.test(value)) {
    throw new PolicyError("syntax", `${key} has no value or a control character in it`, number);
  }
  return [key, value];
}

function versionValue(value: string, line: number): string {
  if (value !== "STSv1") throw new PolicyError("version", "version must be STSv1", line);
  return value;
}

function modeValue(value: string, line: number): PolicyMode {
  const mode = MODES.find((candidate) => candidate === value);
  if (mode === undefined) throw new PolicyError("mode", `mode must be one of ${MODES.join(", ")}`, line);
  return mode;
}

/** RFC 8461 §3.2: a longer lifetime than the maximum is no reason to refuse the policy. */
function maxAgeValue(value: string, line: number): number {
  if (!/^[0-9]{1,10}$/.test(value)) throw new PolicyError("max_age", "max_age must be 1 to 10 digits", line);
  return Math.min(Number(value), MAX_MAX_AGE);
}

function mxPattern(value: string, line: number): string {
  const pattern = value.toLowerCase();
  if (/[^\0-\x7f]/.test(value)) throw new PolicyError("mx", "mx must be written in A-labels (xn--…)", line);
  if (!isHostName(pattern.startsWith("*.") ? pattern.slice(2) : pattern)) {
    throw new PolicyError("mx", "mx must be a host name, or *. and a domain name", line);
  }
  return pattern;
}
