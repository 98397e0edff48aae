/** The readable form of an examination: one block a step, what it means for the mail at the end. */
import type { RecordDiscovery } from "../lookup/discovery.ts";
import type {
  Examination,
  FetchExamination,
  MapAnswer,
  MxExamination,
  MxHost,
} from "../lookup/examination.ts";
import type { FetchTrace } from "../net/policy-host/policy-fetcher.ts";
import type { MapProfile } from "../policy/map-profile.ts";
import type { Override } from "../policy/override.ts";
import { recordName } from "../policy/record.ts";
import { replyText } from "../policy/reply.ts";
import { rolloutPlace } from "../policy/rollout.ts";
import type { NotFoundReason } from "../policy/verdict.ts";
import { daneLines, validationText } from "./dane-report.ts";
import { field, labelled, printable } from "./fields.ts";
import { moment } from "./times.ts";
import { tlsrptLines } from "./tlsrpt-report.ts";

const CACHE_NOTE =
  "This did not look into the cache: a daemon that saw a policy before applies that one until it expires.";

export function renderExamination({
  key,
  domain,
  override,
  record,
  fetch,
  mx,
  dane,
  validation,
  tlsrpt,
  answers,
}: Examination): string {
  const shownKey = Buffer.from(key, "latin1").toString("utf8");
  const lines = [field("next hop", shownKey)];
  if (domain === undefined) {
    lines.push(
      field("domain", "none: an address, a path, a single label or no name at all can have no policy"),
    );
  } else {
    lines.push(field("domain", domain));
    if (override !== undefined) lines.push(...labelled("override", overrideLines(override)));
    if (record !== undefined) lines.push(...recordLines(domain, record));
    if (fetch !== undefined) lines.push(...fetchLines(fetch));
    if (mx !== undefined) lines.push(...mxLines(mx));
    if (validation !== undefined) lines.push(field("DNSSEC", validationText(validation)));
    if (dane !== undefined) lines.push(...labelled("DANE", daneLines(dane)));
    if (tlsrpt !== undefined) lines.push(...labelled("TLSRPT", tlsrptLines(domain, tlsrpt)));
  }
  lines.push("", ...answerLines(answers, override));
  if (domain !== undefined && override === undefined && fetch?.kind !== "fetched") lines.push("", CACHE_NOTE);
  return `${lines.join("\n")}\n`;
}

function overrideLines({ domain, action, until, comment }: Override): string[] {
  const end = until === undefined ? "without end" : `until ${moment(new Date(until).toISOString())}`;
  const what = `${action.kind}, for ${domain}, ${end}; it goes before all that was found`;
  return comment === undefined ? [what] : [what, comment];
}

function recordLines(domain: string, record: RecordDiscovery): string[] {
  const owner = recordName(domain);
  if (record.kind === "dns-failure")
    return [field("record", `could not be asked for: ${record.error.message}`)];
  const alias = record.canonicalName === owner ? [] : [field("", `an alias of ${record.canonicalName}`)];
  const what = {
    record: () => (record.kind === "record" ? `id ${record.id}` : ""),
    invalid: () => (record.kind === "invalid" ? `not valid: ${record.reason}` : ""),
    none: () => "none",
  }[record.kind]();
  return [field("record", `${owner} TXT: ${what} (TTL ${seconds(record.ttl)})`), ...alias];
}

function fetchLines(fetch: FetchExamination): string[] {
  const trace = fetch.kind === "fetched" ? fetch.trace : fetch.error.trace;
  const lines = [field("fetch", trace.url), ...traceLines(trace)];
  if (fetch.kind === "failed") {
    const { message, failureClass, reason } = fetch.error;
    return [...lines, field("", `FAILED: ${message}`), field("", `${failureClass}, ${reason}`)];
  }
  const { mode, maxAge, mx } = fetch.policy;
  return [
    ...lines,
    field("policy", `mode ${mode}, max_age ${seconds(maxAge)}`),
    ...mx.map((pattern) => field("", `mx ${pattern}`)),
  ];
}

function traceLines({
  address,
  proxy,
  tlsVersion,
  certificate,
  status,
  contentType,
  bytes,
  durationMs,
}: FetchTrace): string[] {
  const connection = [
    proxy === undefined ? address : `through the proxy ${proxy}`,
    tlsVersion,
    status === undefined ? undefined : `status ${status}`,
    contentType,
    bytes === undefined ? undefined : `${bytes} bytes`,
    `${Math.round(durationMs)} ms`,
  ];
  const lines = [field("", connection.filter((part) => part !== undefined).join(", "))];
  if (certificate !== undefined) {
    const { names, issuer, validTo } = certificate;
    lines.push(field("", `certificate for ${names.join(", ") || "no name"}; by ${issuer}; until ${validTo}`));
  }
  return lines;
}

function mxLines(mx: MxExamination): string[] {
  switch (mx.kind) {
    case "failed":
      return [field("MX", `could not be asked for: ${mx.error.message}`)];
    case "null":
      return [field("MX", "null MX: the domain takes no mail")];
    case "implicit":
      return labelled("MX", ["none: the domain is its own mail host", ...mx.hosts.map(mxHostText)]);
    case "hosts":
      return labelled("MX", mx.hosts.map(mxHostText));
  }
}

const ALLOWED = { true: " - allowed by the policy", false: " - NOT allowed by the policy", undefined: "" };

function mxHostText({ host, preference, allowed }: MxHost): string {
  return `${preference} ${host}${ALLOWED[`${allowed}`]}`;
}

/** Maps that answer the same stand together. */
function answerLines(answers: readonly MapAnswer[], override: Override | undefined): string[] {
  const groups = Map.groupBy(
    answers,
    (answer) => `${printable(replyText(answer.reply))}\n    ${consequence(answer, override)}`,
  );
  return Array.from(groups, ([text, group]) => {
    const maps = group.map(({ map }) => map).join(", ");
    return `${group.length === 1 ? "map" : "maps"} ${maps}: ${text}`;
  });
}

const NOT_FOUND_BECAUSE: Record<NotFoundReason, string> = {
  "no-policy": "there is no policy to apply",
  "mode-none": "the owner has withdrawn MTA-STS (mode none)",
  "mode-testing": "the policy is only being tested (mode testing)",
  "dns-failure": "DNS could not be asked",
  dane: "the domain has DANE, which goes first; at level may it would not be checked: see docs/dane.md",
  "dane-unknown":
    "whether the domain has DANE could not be found out; at level may nothing would be checked: see docs/dane.md",
};

const DEFERS = "Postfix defers the mail and tries again.";

/** What Postfix does with a secure reply. */
const ENFORCES: Record<MapProfile["attributes"], string> = {
  "3.4":
    "Postfix delivers only to MX hosts with a trusted certificate for one of these names, and defers otherwise.",
  "3.10":
    "Postfix skips MX hosts that no pattern allows (from 3.10.5 on), delivers to the others only with a trusted certificate for the host's own name, and defers otherwise.",
};

/** What Postfix will do with the answer. */
function consequence({ profile, verdict, reply }: MapAnswer, override: Override | undefined): string {
  if (reply.status === "TEMP") return DEFERS;
  if (verdict === undefined) {
    if (override?.action.kind === "enforce") return ENFORCES[profile.attributes];
    if (reply.status === "OK") return "Postfix does what this says: the override has it so.";
    return "Postfix uses its own smtp_tls_security_level: the override has it so.";
  }
  switch (verdict.kind) {
    case "secure":
      return ENFORCES[profile.attributes];
    case "held-back": {
      const level =
        verdict.instead === "dane" ? "its security level dane" : "its own smtp_tls_security_level";
      return `Postfix uses ${level}: ${heldBack(verdict.policy.domain, profile.rollout)}.`;
    }
    case "dane":
      return `Postfix uses its security level ${verdict.level}.`;
    case "not-found":
      return `Postfix uses its own smtp_tls_security_level: ${NOT_FOUND_BECAUSE[verdict.because]}.`;
    case "defer":
      return DEFERS;
  }
}

function heldBack(domain: string, rollout: number): string {
  const place = `this domain comes at ${rolloutPlace(domain).toFixed(2)}%`;
  return `the policy is held back by the map's rollout of ${rollout}%; ${place}`;
}

function seconds(count: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ] as const;
  const [size, name] = units.find(([unit]) => count >= unit && count % unit === 0) ?? [1, "s"];
  return `${count / size} ${name}`;
}
