/** What another daemon knows of a domain, as a row of ours. */
import { UNKNOWN_ID, isoTime } from "../lookup/cache/record.ts";
import type { CacheRecord } from "../lookup/cache/record.ts";
import { policyDomain } from "../policy/domain.ts";
import { parsePolicy, PolicyError } from "../policy/policy.ts";

/** One row or line of the other cache: what it comes to, or why to nothing. What is `skipped` is right, but carries no policy. */
export type ForeignRow =
  | { readonly record: CacheRecord }
  | { readonly result: "skipped" | "refused"; readonly domain: string; readonly reason: string };

export interface ForeignPolicy {
  /** As the other daemon writes it. */
  readonly domain: string;
  /** Undefined where the other daemon does not tell. */
  readonly id: string | undefined;
  readonly mode: string;
  readonly mx: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
  /** Milliseconds since 1970. */
  readonly fetchedAt: number;
  readonly usedAt: number;
}

/**
 * The policy as a pin that is due at once: its record is asked for and its text fetched as soon as may be, and until then it
 * is applied as the other daemon applied it. The text is made up of what is known; only that of a fetch is the owner's own.
 */
export function foreignRow(policy: ForeignPolicy, now: number): ForeignRow {
  const { id, mode, mx, maxAge, fetchedAt, usedAt } = policy;
  const domain = policyDomain(Buffer.from(policy.domain, "utf8").toString("latin1"));
  const refuse = (reason: string): ForeignRow => ({ result: "refused", domain: policy.domain, reason });
  if (domain === undefined) return refuse("the name is no policy domain");
  const lines = [
    "version: STSv1",
    `mode: ${mode}`,
    ...mx.map((pattern) => `mx: ${pattern}`),
    `max_age: ${maxAge}`,
  ];
  const text = `${lines.join("\n")}\n`;
  let parsed;
  try {
    ({ policy: parsed } = parsePolicy(Buffer.from(text)));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return refuse(`its policy is not valid: ${error.message}`);
  }
  const expiresAt = fetchedAt + parsed.maxAge * 1000;
  if (!Number.isSafeInteger(expiresAt)) return refuse("the time makes no sense");
  if (expiresAt <= now)
    return { result: "skipped", domain, reason: `its policy expired ${isoTime(expiresAt)}` };
  const fetched = isoTime(fetchedAt);
  const pin = {
    id: id !== undefined && /^[A-Za-z0-9]{1,32}$/.test(id) ? id : UNKNOWN_ID,
    mode: parsed.mode,
    mx: [...parsed.mx],
    max_age: parsed.maxAge,
    fetched_at: fetched,
    expires_at: isoTime(expiresAt),
    renew_at: fetched,
    text,
  };
  const times = { checked_at: fetched, check_at: fetched, used_at: isoTime(usedAt) };
  return { record: { v: 1, domain, pin, failure: null, ...times } };
}
