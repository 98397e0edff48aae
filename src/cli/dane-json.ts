/** The JSON form of a domain's DANE state, in the manner of check-json.ts. */
import { daneState } from "../lookup/dane/dane-source.ts";
import type { DaneFailure, DaneFinding, DaneHost, TlsaFinding } from "../net/dane/finding.ts";

export function daneToJson(finding: DaneFinding): object {
  const { mx, hosts, ttl } = finding;
  const state = daneState(finding);
  return {
    state: state.kind,
    ...(state.kind === "unknown" && { reason: state.reason }),
    mx: { kind: mx.kind, secure: mx.secure, left_out: mx.leftOut },
    hosts: hosts.map(hostToJson),
    ttl,
  };
}

function hostToJson({ name, preference, canonicalName, addressSecure, ...host }: DaneHost): object {
  return {
    name,
    preference,
    canonical_name: canonicalName,
    address_secure: addressSecure,
    state: host.state,
    tlsa_name: host.tlsaName ?? null,
    tlsa: host.tlsa.map(tlsaToJson),
    failure: host.failure === undefined ? null : failureToJson(host.failure),
  };
}

function tlsaToJson({ record, problem }: TlsaFinding): object {
  const { usage, selector, matchingType, data } = record;
  return {
    usage,
    selector,
    matching_type: matchingType,
    data: Buffer.from(data).toString("hex"),
    problem: problem ?? null,
  };
}

function failureToJson({ name, type, error }: DaneFailure): object {
  return { name, type, code: error.code, reason: error.message };
}
