/** The JSON form of an examination: stable names in snake_case, errors as code and message. */
import type {
  Examination,
  FetchExamination,
  MapAnswer,
  MxExamination,
  ResolverValidation,
  TlsrptExamination,
} from "../lookup/examination.ts";
import { policyPresence } from "../lookup/examination.ts";
import type { RecordDiscovery } from "../lookup/discovery.ts";
import { daneToJson } from "./dane-json.ts";
import type { Override } from "../policy/override.ts";
import type { FetchTrace } from "../net/policy-host/policy-fetcher.ts";

export function examinationToJson(examination: Examination): object {
  const { key, domain, override, record, fetch, mx, dane, validation, tlsrpt, answers } = examination;
  return {
    next_hop: Buffer.from(key, "latin1").toString("utf8"),
    domain: domain ?? null,
    override: override === undefined ? null : overrideToJson(override),
    result: policyPresence(examination),
    record: record === undefined ? null : recordToJson(record),
    fetch: fetch === undefined ? null : fetchToJson(fetch),
    mx: mx === undefined ? null : mxToJson(mx),
    dane: dane === undefined ? null : daneToJson(dane),
    validation: validation === undefined ? null : validationToJson(validation),
    tlsrpt: tlsrpt === undefined ? null : tlsrptToJson(tlsrpt),
    maps: Object.fromEntries(answers.map((answer) => [answer.map, answerToJson(answer)])),
  };
}

function overrideToJson({ domain, action, until, comment }: Override): object {
  return {
    domain,
    action: action.kind,
    until: until === undefined ? null : new Date(until).toISOString(),
    comment: comment ?? null,
  };
}

function recordToJson(record: RecordDiscovery): object {
  if (record.kind === "dns-failure")
    return { kind: record.kind, code: record.error.code, reason: record.error.message };
  const { kind, ttl, canonicalName } = record;
  return {
    kind,
    ...(record.kind === "record" && { id: record.id }),
    ...(record.kind === "invalid" && { reason: record.reason }),
    ttl,
    canonical_name: canonicalName,
  };
}

function fetchToJson(fetch: FetchExamination): object {
  if (fetch.kind === "failed") {
    const { failureClass, reason, message, trace } = fetch.error;
    return { kind: fetch.kind, class: failureClass, code: reason, reason: message, ...traceToJson(trace) };
  }
  const { mode, maxAge, mx } = fetch.policy;
  return {
    kind: fetch.kind,
    ...traceToJson(fetch.trace),
    policy: { mode, max_age: maxAge, mx, text: fetch.text },
  };
}

function traceToJson({ tlsVersion, certificate, contentType, durationMs, ...rest }: FetchTrace): object {
  return {
    ...rest,
    tls_version: tlsVersion,
    certificate: certificate && {
      names: certificate.names,
      issuer: certificate.issuer,
      valid_from: certificate.validFrom,
      valid_to: certificate.validTo,
    },
    content_type: contentType,
    duration_ms: Math.round(durationMs),
  };
}

function mxToJson(mx: MxExamination): object {
  if (mx.kind === "failed") return { kind: mx.kind, code: mx.error.code, reason: mx.error.message };
  return mx;
}

function validationToJson(validation: ResolverValidation): object {
  if (validation.state !== "unknown") return { state: validation.state };
  const { state, error } = validation;
  return { state, code: error.code, reason: error.message };
}

function tlsrptToJson({ record, report }: TlsrptExamination): object {
  const { kind } = record;
  const found =
    record.kind === "dns-failure" ? { kind, code: record.error.code, reason: record.error.message } : record;
  return { record: found, report: report?.datagram ?? null };
}

function answerToJson({ verdict, reply }: MapAnswer): object {
  return {
    status: reply.status,
    ...(reply.status === "OK" && { text: reply.text }),
    ...(reply.status === "TEMP" && { reason: reply.reason }),
    ...(verdict === undefined && { because: "override" }),
    ...(verdict?.kind === "not-found" && { because: verdict.because }),
    ...(verdict?.kind === "held-back" && { because: "would-enforce" }),
  };
}
