/** The readable form of a domain's DANE state. */
import type { DaneFinding, DaneHost, DaneHostState, MxSetKind, TlsaFinding } from "../net/dane-finding.ts";

const SUMMARIES = {
  none: "none",
  some: "some MX hosts have it, or the MX set is not signed: Postfix's level dane",
  all: "every MX host has it: Postfix's level dane-only",
} as const;

const MX_SETS: Record<MxSetKind, string> = {
  mx: "MX records",
  implicit: "no MX records, the domain is its own mail host",
  null: "null MX",
  "no-domain": "the domain does not exist",
  unknown: "the MX records could not be asked for",
  "not-asked":
    "not looked for: the resolver's AD bit is not trusted (dns.trust_ad), or dane.enabled is false",
};

const HOST_STATES: Record<DaneHostState, string> = {
  "secure-tlsa": "address signed, usable TLSA records",
  "unusable-tlsa": "address signed, TLSA records, but none that is usable",
  "no-tlsa": "address signed, no TLSA records",
  insecure: "not signed, so TLSA does not count",
  "no-address": "no address",
  unknown: "unknown",
};

/** One line for the whole, then one a host and one a TLSA record. */
export function daneLines({ mx, hosts, summary }: DaneFinding): string[] {
  if (mx.kind === "not-asked") return [MX_SETS[mx.kind]];
  const first = summary.state === "unknown" ? `unknown: ${summary.reason}` : SUMMARIES[summary.state];
  const signed = mx.secure ? "signed" : "not signed";
  const left = mx.leftOut > 0 ? `; ${mx.leftOut} more hosts were not looked at` : "";
  return [first, `${MX_SETS[mx.kind]}, ${signed}${left}`, ...hosts.flatMap(hostLines)];
}

function hostLines({ name, canonicalName, state, failure, tlsaName, tlsa }: DaneHost): string[] {
  const alias = canonicalName === name ? "" : ` (alias of ${canonicalName})`;
  const why = failure === undefined ? "" : `: ${failure.type} of ${failure.name}: ${failure.error.message}`;
  return [`${name}${alias}: ${HOST_STATES[state]}${why}`, ...tlsa.map((found) => tlsaLine(tlsaName, found))];
}

function tlsaLine(owner: string | undefined, { record, problem }: TlsaFinding): string {
  const { usage, selector, matchingType, data } = record;
  const digest = Buffer.from(data).toString("hex").slice(0, 16);
  return `  ${owner} TLSA ${usage} ${selector} ${matchingType} ${digest}…: ${problem ?? "usable"}`;
}
