/** `overrides:`, the administrator's own word on single domains. */
import * as z from "zod/mini";
import type { Override, OverrideAction } from "../policy/override.ts";
import { isHostName, policyDomain } from "../policy/domain.ts";
import { tlsPolicyFault } from "../policy/tls-policy.ts";
import { BadValue, quote } from "./bad-value.ts";
import { type Field, field, list, oneOf, optional, withDefault } from "./fields.ts";
import { type Rule, section } from "./section.ts";

/** An override as the file has it. */
interface Item {
  readonly domain: string;
  readonly action: OverrideAction["kind"];
  readonly mx: readonly string[] | undefined;
  readonly reply: string | undefined;
  readonly until: number | undefined;
  readonly comment: string | undefined;
}

const DAY = 86_400_000;

const item = section<Item>(
  {
    domain: field(readDomain, String),
    action: oneOf(["off", "testing", "enforce", "reply", "defer"]),
    mx: optional(list(field(readMxPattern, String))),
    reply: optional(field(readReply, String)),
    until: optional(field(readUntil, (until) => new Date(until).toISOString())),
    comment: optional(field(readComment, String)),
  },
  goesWith("mx", "enforce"),
  goesWith("reply", "reply"),
);

const override: Field<Override> = z.codec(item, z.custom<Override>(), { decode: toOverride, encode: toItem });

/** None without configuration. */
export const overrides: Field<readonly Override[]> = withDefault(list(override), []);

/** The key `key` is needed with the action `action`, and means nothing with another. */
function goesWith(key: "mx" | "reply", action: OverrideAction["kind"]): Rule<Item> {
  return (values) => {
    if (values.action === undefined) return undefined;
    const isGiven = values[key] !== undefined && values[key].length > 0;
    if (isGiven === (values.action === action)) return undefined;
    return isGiven
      ? { key, message: `not for action ${values.action} (only with action: ${action})` }
      : { key: "action", message: `${action} needs ${key}` };
  };
}

function toOverride({ domain, action, mx = [], reply = "", until, comment }: Item): Override {
  return { domain, action: toAction(action, mx, reply), until, comment };
}

function toAction(kind: OverrideAction["kind"], mx: readonly string[], text: string): OverrideAction {
  if (kind === "enforce") return { kind, mx };
  return kind === "reply" ? { kind, text } : { kind };
}

function toItem({ domain, action, until, comment }: Override): Item {
  return {
    domain,
    action: action.kind,
    mx: action.kind === "enforce" ? action.mx : undefined,
    reply: action.kind === "reply" ? action.text : undefined,
    until,
    comment,
  };
}

function readDomain(value: unknown): string {
  const text = typeof value === "string" ? value.toLowerCase() : "";
  if (text.startsWith(".") && isHostName(text.slice(1))) return text;
  const domain = /[[\]:]/.test(text) ? undefined : policyDomain(Buffer.from(text, "utf8").toString("latin1"));
  if (domain !== undefined) return domain;
  throw new BadValue(`${quote(value)} is no domain (example.com, or .example.com for it and all below)`);
}

function readMxPattern(value: unknown): string {
  const pattern = typeof value === "string" ? value.toLowerCase() : "";
  if (isHostName(pattern.startsWith("*.") ? pattern.slice(2) : pattern) && pattern.includes("."))
    return pattern;
  throw new BadValue(`${quote(value)} is no MX pattern (mx.example.com or *.example.com)`);
}

function readReply(value: unknown): string {
  const fault = typeof value === "string" ? tlsPolicyFault(value) : "not a text";
  if (typeof value === "string" && fault === undefined) return value;
  throw new BadValue(
    `Postfix would refuse ${quote(value)}: ${fault} (for example secure match=.example.com)`,
  );
}

/** A date holds to its end in UTC. */
function readUntil(value: unknown): number {
  const text = typeof value === "string" ? value : "";
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text);
  const time =
    isDate || /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return isDate ? time + DAY : time;
  throw new BadValue(`${quote(value)} is no date (2026-12-31 or 2026-12-31T18:00:00Z)`);
}

function readComment(value: unknown): string {
  if (typeof value === "string") return value;
  throw new BadValue(`${quote(value)} is no text`);
}
