/** The readable form of a CacheReport: state, why, since when, until when, what happens next. */
import type { AnswerReason, CacheAnswer, CacheReport, NextAction } from "../lookup/cache/cache-admin.ts";
import type { KnownDaneKind } from "../policy/verdict.ts";
import { field, labelled } from "./fields.ts";
import { idText } from "./id-text.ts";
import { dueFrom, moment, momentFrom, span } from "./times.ts";

export function renderCacheReport(report: CacheReport): string {
  const { at, domain, history, answers } = report;
  const lines = [
    field("domain", domain),
    ...labelled("state", stateLines(report)),
    ...labelled("policy", policyLines(report)),
    ...labelled("failure", failureLines(report)),
    ...labelled("record", checkLines(report)),
    ...labelled("next", nextLines(report)),
    ...labelled("memory", memoryLines(report)),
    ...labelled(
      "history",
      history.map(
        ({ id, first_seen, outcome }) => `${momentFrom(first_seen, at)}: id ${idText(id)}: ${outcome}`,
      ),
    ),
    ...labelled("dane", daneLines(report)),
    ...labelled("override", overrideLines(report)),
    "",
    ...answerLines(answers),
  ];
  return `${lines.join("\n")}\n`;
}

function stateLines({ at, state, record, dns_failure }: CacheReport): string[] {
  const pin = record?.pin;
  switch (state) {
    case "pinned": {
      const until = pin ? momentFrom(pin.expires_at, at) : "";
      return [`a policy in mode ${pin?.mode} is held until ${until}`];
    }
    case "expired":
      return ["the policy held has expired, and is not applied; the next question looks for another"];
    case "failing":
      return ["there is a record, but its policy could not be fetched: no policy is applied"];
    case "absent":
      return ["DNS says that there is no policy"];
    case "unreachable":
      return [`DNS could not be asked, and nothing is held: ${dns_failure}`];
    case "unknown":
      return ["nothing is remembered; the next question looks for a policy"];
  }
}

function policyLines({ at, record }: CacheReport): string[] {
  const pin = record?.pin;
  if (!pin) return [];
  return [
    `id ${idText(pin.id)}, fetched ${momentFrom(pin.fetched_at, at)}, max_age ${span(pin.max_age * 1000)}`,
    ...pin.mx.map((pattern) => `mx ${pattern}`),
    `fetched again, even with the same id: ${dueFrom(pin.renew_at, at)}`,
  ];
}

function failureLines({ at, record }: CacheReport): string[] {
  const failure = record?.failure;
  if (!failure) return [];
  const { id, reason, detail, count, failed_at, retry_at } = failure;
  const times = count === 1 ? "once" : `${count} times in a row`;
  return [
    `id ${idText(id)} could not be fetched, ${times}, last ${momentFrom(failed_at, at)}`,
    `${reason}: ${detail}`,
    `tried again: ${dueFrom(retry_at, at)}`,
  ];
}

function checkLines({ at, record, dns_failure, state }: CacheReport): string[] {
  if (record === null) return [];
  const isAnswered = Date.parse(record.checked_at) > 0;
  const last = isAnswered
    ? `DNS last answered ${momentFrom(record.checked_at, at)}`
    : "DNS has not answered yet";
  const failed =
    dns_failure !== null && state !== "unreachable" ? [`the last question failed: ${dns_failure}`] : [];
  return [
    last,
    ...failed,
    `asked for again: ${dueFrom(record.check_at, at)}`,
    `last used for mail ${moment(record.used_at)} (to the hour or so)`,
  ];
}

const NEXT: Record<NextAction, string> = {
  check: "the record is asked for again",
  renew: "the policy is fetched again",
  retry: "the fetch that failed is tried again",
  expire: "the policy expires",
};

function nextLines({ at, next, state }: CacheReport): string[] {
  if (next === null) return [];
  const isDue = Date.parse(next.at) <= Date.parse(at);
  const when = isDue ? "due now" : momentFrom(next.at, at);
  // Only a policy that is held is looked after without being asked for.
  const who = state === "pinned" ? "" : ", when the domain is next asked for";
  return [`${NEXT[next.action]}: ${when}${who}`];
}

function memoryLines({ in_memory }: CacheReport): string[] {
  if (in_memory === null) return [];
  return [
    in_memory ? "held: the answer takes microseconds" : "not held: read from the file when it is asked for",
  ];
}

const DANE: Record<KnownDaneKind, string> = {
  none: "no MX host has TLSA records that count",
  some: "some MX hosts have TLSA records",
  all: "every MX host has TLSA records",
  "insecure-mx": "MX hosts have TLSA records, but the MX set itself is not secure",
};

function daneLines({ at, dane: { last_known, held } }: CacheReport): string[] {
  const last = last_known === null ? [] : [`last known: ${DANE[last_known]} (${last_known})`];
  if (held === null) return last;
  const isDue = Date.parse(held.until) <= Date.parse(at);
  const when = isDue ? "due now" : dueFrom(held.until, at);
  const again = `looked up again, when an answer depends on it: ${when}`;
  if (held.state === "unknown") return [`unknown: ${held.reason}`, ...last, again];
  return [`${DANE[held.state]} (${held.state})`, again];
}

function overrideLines({ override }: CacheReport): string[] {
  if (override === null) return [];
  const { domain, action, until, comment } = override;
  return [
    `${action}, for ${domain}, ${until === null ? "without end" : `until ${moment(until)}`}; it goes before all else`,
    ...(comment === null ? [] : [comment]),
  ];
}

const BECAUSE: Record<AnswerReason, string> = {
  policy: "the policy is enforced",
  "would-enforce":
    "the policy is held back: the map's rollout has not come to this domain (see docs/rollout.md)",
  override: "the override says so",
  deferred: "the mail waits",
  "not-known": "the question has to be looked into first",
  "dane-level": "the domain has DANE, which goes first",
  dane: "the domain has DANE, which goes first: Postfix's own level decides",
  "dane-unknown": "whether the domain has DANE could not be found out: Postfix's own level decides",
  "no-policy": "there is no policy to apply",
  "mode-none": "the owner has withdrawn MTA-STS (mode none)",
  "mode-testing": "the policy is only being tested (mode testing)",
  "dns-failure": "DNS could not be asked",
};

/** Maps that are answered the same stand together. */
function answerLines(answers: readonly CacheAnswer[]): string[] {
  const groups = Map.groupBy(
    answers,
    ({ answer, because }) => `${answer ?? "not known yet"}\n    ${BECAUSE[because]}`,
  );
  return Array.from(groups, ([text, group]) => {
    const maps = group.map(({ map }) => map).join(", ");
    return `${group.length === 1 ? "map" : "maps"} ${maps}: ${text}`;
  });
}
