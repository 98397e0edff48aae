/** The readable form of a domain's DANE state. */
import { daneState } from "../lookup/dane/dane-source.ts";
import type { ResolverValidation } from "../lookup/examination.ts";
import type { KnownDaneKind } from "../policy/verdict.ts";
import type { DaneFinding, DaneHost, DaneHostState, MxSetKind, TlsaFinding } from "../net/dane/finding.ts";

const SUMMARIES: Record<KnownDaneKind, string> = {
  none: "none",
  some: "some MX hosts have it: Postfix's level dane",
  all: "every MX host has it: Postfix's level dane-only",
  "insecure-mx":
    "MX hosts have it, but the MX records are not signed: a policy in mode enforce goes first, otherwise Postfix's level dane",
};

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
  "secure-tlsa": "signed, usable TLSA records",
  "unusable-tlsa": "signed, TLSA records, but none that is usable",
  "no-tlsa": "signed, no TLSA records",
  insecure: "not signed, so TLSA does not count",
  "no-address": "no address",
  unknown: "unknown",
};

/** What the self-test showed. */
export function validationText(validation: ResolverValidation): string {
  switch (validation.state) {
    case "validating":
      return "the resolver validates";
    case "not-validating":
      return "the resolver does NOT validate: a daemon that uses it looks for no DANE";
    case "unknown":
      return `whether the resolver validates is unknown: ${validation.error.message}`;
    case "ad-not-trusted":
      return "not tested: the resolver's AD bit is not trusted (dns.trust_ad), or dane.enabled is false";
  }
}

/** One line for the whole, then one a host and one a TLSA record. */
export function daneLines(finding: DaneFinding): string[] {
  const { mx, hosts } = finding;
  if (mx.kind === "not-asked") return [MX_SETS[mx.kind]];
  const state = daneState(finding);
  const first = state.kind === "unknown" ? `unknown: ${state.reason}` : SUMMARIES[state.kind];
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
