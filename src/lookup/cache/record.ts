/**
 * A row of the cache as one line of JSON: what `cache export` writes, `cache import` reads, and `cache list --json` prints.
 * Documented in docs/cache.md. A format that differs gets another `v`.
 */
import * as z from "zod/mini";
import { policyDomain } from "../../policy/domain.ts";
import { MAX_MAX_AGE, parsePolicy, PolicyError } from "../../policy/policy.ts";
import type { Entry, FetchFailure, Pin } from "../../store/store.ts";

/** The record id of a pin that was carried over without one. No record has it, so the policy is fetched at the next check. */
export const UNKNOWN_ID = "";

/** Octets of one line, without its end. A policy of 64 KiB fits, however it is escaped. */
export const MAX_RECORD_LINE = 2 ** 20;

/** Clocks differ: what is said to have happened may lie this far ahead, in milliseconds. */
const CLOCK_SKEW = 5 * 60_000;
/** Nothing is planned further ahead than the longest policy holds, and a day, in milliseconds. */
const HORIZON = MAX_MAX_AGE * 1000 + 86_400_000;
/** No record is taken for current longer than this after an import, in milliseconds. */
const LONGEST_CHECK = 86_400_000;

const text = z.string({ error: "is no text" });
const count = z.int({ error: "is no whole number" }).check(z.nonnegative({ error: "is below 0" }));
const time = z
  .string({ error: "is no time" })
  .check(z.refine((value) => isTime(value), { error: "is no time (2026-11-21T22:04:05.000Z)" }));
const id = text.check(
  z.regex(/^[A-Za-z0-9]{0,32}$/, { error: "is no record id (1 to 32 letters or digits, or empty)" }),
);

const pinSchema = strict({
  id,
  mode: z.enum(["enforce", "testing", "none"], { error: "is no mode" }),
  mx: z.array(text, { error: "is no list" }),
  max_age: count,
  fetched_at: time,
  expires_at: time,
  renew_at: time,
  text,
});

const failureSchema = strict({
  id,
  reason: text.check(z.regex(/^[a-z0-9-]{1,64}$/, { error: "is no reason" })),
  detail: text,
  count,
  failed_at: time,
  retry_at: time,
});

const recordSchema = strict({
  v: z.literal(1, { error: "is not 1: another version of the format" }),
  domain: text.check(
    z.refine((value) => policyDomain(value) === value, { error: "is no domain (lower-case A-labels)" }),
  ),
  pin: z.nullable(pinSchema),
  failure: z.nullable(failureSchema),
  checked_at: time,
  check_at: time,
  used_at: time,
});

/** One row. Times are ISO 8601 in UTC with milliseconds. */
export type CacheRecord = z.infer<typeof recordSchema>;

/** A line is no row of a cache, or its row makes no sense. Nothing of it is taken. */
export class CacheRecordError extends Error {
  override readonly name = "CacheRecordError";
  /**
   * - `too-long`: more than {@link MAX_RECORD_LINE}.
   * - `syntax`: not one JSON object in UTF-8 with just the fields there are.
   * - `policy`: the policy is none, or is not what the other fields say.
   * - `time`: the times contradict one another or the clock.
   */
  readonly code: "too-long" | "syntax" | "policy" | "time";

  constructor(code: CacheRecordError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** `entry` as it is exported; {@link parseRecord} is the way back. */
export function toRecord({ domain, pin, failure, checkedAt, checkAt, usedAt }: Entry): CacheRecord {
  return {
    v: 1,
    domain,
    pin: pin === undefined ? null : toPinRecord(pin),
    failure: failure === undefined ? null : toFailureRecord(failure),
    checked_at: isoTime(checkedAt),
    check_at: isoTime(checkAt),
    used_at: isoTime(usedAt),
  };
}

/**
 * The row in `line`, judged as strictly as what comes from the network. What another clock or other settings put too far ahead
 * is moved back.
 *
 * @param now milliseconds since 1970
 * @param leastLifetime milliseconds for which a policy holds at least, whatever its max_age
 * @throws {CacheRecordError}
 */
export function parseRecord(line: Uint8Array, now: number, leastLifetime: number): Entry {
  if (line.length > MAX_RECORD_LINE)
    throw new CacheRecordError("too-long", `longer than ${MAX_RECORD_LINE} bytes`);
  const result = z.safeParse(recordSchema, parseJson(line));
  if (!result.success) throw new CacheRecordError("syntax", describeIssue(result.error.issues[0]));
  const entry = toEntry(result.data);
  if (entry.pin !== undefined) checkPolicy(entry.pin);
  checkTimes(entry, now, leastLifetime);
  return moderated(entry, now);
}

/** Milliseconds since 1970 → ISO 8601. */
export function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function toPinRecord({ recordId, mode, mx, maxAge, text: policy, ...times }: Pin): CacheRecord["pin"] {
  return {
    id: recordId,
    mode,
    mx: [...mx],
    max_age: maxAge,
    fetched_at: isoTime(times.fetchedAt),
    expires_at: isoTime(times.expiresAt),
    renew_at: isoTime(times.renewAt),
    text: policy,
  };
}

function toFailureRecord({ recordId, failedAt, retryAt, ...rest }: FetchFailure): CacheRecord["failure"] {
  return { id: recordId, ...rest, failed_at: isoTime(failedAt), retry_at: isoTime(retryAt) };
}

function toEntry({ domain, pin, failure, checked_at, check_at, used_at }: CacheRecord): Entry {
  return {
    domain,
    pin: pin === null ? undefined : toPin(pin),
    failure: failure === null ? undefined : toFailure(failure),
    checkedAt: Date.parse(checked_at),
    checkAt: Date.parse(check_at),
    usedAt: Date.parse(used_at),
  };
}

function toPin(pin: z.infer<typeof pinSchema>): Pin {
  return {
    recordId: pin.id,
    text: pin.text,
    mode: pin.mode,
    mx: pin.mx,
    maxAge: pin.max_age,
    fetchedAt: Date.parse(pin.fetched_at),
    expiresAt: Date.parse(pin.expires_at),
    renewAt: Date.parse(pin.renew_at),
  };
}

function toFailure({
  id: recordId,
  failed_at,
  retry_at,
  ...rest
}: z.infer<typeof failureSchema>): FetchFailure {
  return { recordId, ...rest, failedAt: Date.parse(failed_at), retryAt: Date.parse(retry_at) };
}

/** The fields beside the text are for people and tools; the text decides. */
function checkPolicy({ text: policyText, mode, mx, maxAge }: Pin): void {
  let parsed;
  try {
    parsed = parsePolicy(Buffer.from(policyText));
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new CacheRecordError("policy", `pin.text is no policy: ${cause.message}`, { cause });
  }
  const differs = (field: string) => new CacheRecordError("policy", `pin.${field} is not what pin.text says`);
  const { policy } = parsed;
  if (parsed.text !== policyText) throw new CacheRecordError("policy", "pin.text has a byte-order mark");
  if (policy.mode !== mode) throw differs("mode");
  if (policy.maxAge !== maxAge) throw differs("max_age");
  if (policy.mx.join("\n") !== mx.join("\n")) throw differs("mx");
}

function checkTimes({ pin, failure, ...entry }: Entry, now: number, leastLifetime: number): void {
  const past = { "pin.fetched_at": pin?.fetchedAt, "failure.failed_at": failure?.failedAt };
  const planned = { "pin.renew_at": pin?.renewAt, "failure.retry_at": failure?.retryAt };
  notAfter(now + CLOCK_SKEW, "lies in the future", {
    ...past,
    checked_at: entry.checkedAt,
    used_at: entry.usedAt,
  });
  notAfter(now + HORIZON, "lies more than a year ahead", { ...planned, check_at: entry.checkAt });
  if (pin === undefined) return;
  if (pin.expiresAt <= pin.fetchedAt)
    throw new CacheRecordError("time", "pin.expires_at is not after pin.fetched_at");
  if (pin.expiresAt - pin.fetchedAt > Math.max(pin.maxAge * 1000, leastLifetime))
    throw new CacheRecordError("time", "pin.expires_at is later than pin.max_age allows");
}

/**
 * `entry` with nothing in the way of a newer policy: none that seems to be fetched later than now, no check further off than a
 * day, and no renewal after the end. A policy that is moved back ends as much sooner.
 */
function moderated(entry: Entry, now: number): Entry {
  const { pin, checkAt } = entry;
  return { ...entry, pin: pin && moderatedPin(pin, now), checkAt: Math.min(checkAt, now + LONGEST_CHECK) };
}

function moderatedPin(pin: Pin, now: number): Pin {
  const ahead = Math.max(pin.fetchedAt - now, 0);
  const fetchedAt = pin.fetchedAt - ahead;
  // Planned for after its end, it would never come: due at once.
  const renewAt = pin.renewAt < pin.expiresAt ? pin.renewAt - ahead : fetchedAt;
  return { ...pin, fetchedAt, expiresAt: pin.expiresAt - ahead, renewAt };
}

function notAfter(limit: number, fault: string, times: Readonly<Record<string, number | undefined>>): void {
  for (const [field, at] of Object.entries(times)) {
    if (at !== undefined && at > limit) throw new CacheRecordError("time", `${field} ${fault}`);
  }
}

function isTime(value: string): boolean {
  return (
    /^\d{4}-.*Z$/.test(value) && !Number.isNaN(Date.parse(value)) && isoTime(Date.parse(value)) === value
  );
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseJson(line: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(line));
  } catch (cause) {
    throw new CacheRecordError("syntax", "no JSON in UTF-8", { cause });
  }
}

function strict<T extends z.core.$ZodLooseShape>(shape: T): z.ZodMiniObject<T, z.core.$strict> {
  return z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys" && Array.isArray(keys)
        ? `has unknown fields: ${keys.join(", ")}`
        : "is no object",
  });
}

function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  const path = issue?.path.join(".") ?? "";
  return `${path === "" ? "the line" : path} ${issue?.message ?? ""}`;
}
