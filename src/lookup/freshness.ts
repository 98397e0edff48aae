/** The times in a domain's life: how long an answer holds, when a policy is renewed, how long a failure is left alone. */
import type { FetchedPolicy, FetchError, FetchFailureReason } from "../net/policy-host/policy-fetcher.ts";
import type { Entry, FetchFailure, Pin } from "../store/store.ts";

/** All times in milliseconds. */
export interface FreshnessOptions {
  /** Bounds on the TTL of a record that was found. */
  readonly recheckMin: number;
  readonly recheckMax: number;
  /** Bounds on the negative TTL. */
  readonly negativeMin: number;
  readonly negativeMax: number;
  /** How long a failure of DNS is remembered. */
  readonly dnsFailure: number;
  /** The pause after a failed fetch, doubled with each further failure for the same id. */
  readonly backoffMin: number;
  readonly backoffMax: number;
  /** The part of its lifetime, 0 to 1, between which a policy is renewed. */
  readonly renewFrom: number;
  readonly renewTo: number;
  /** How long before its end a policy is renewed at the latest, where its lifetime allows that. */
  readonly renewMargin: number;
}

/** Milliseconds for which a record with `ttl` (seconds) is not asked for again. */
export function recordLifetime(ttl: number, options: FreshnessOptions): number {
  return clamp(ttl * 1000, options.recheckMin, options.recheckMax);
}

/** Milliseconds for which the absence of a record, with a negative TTL in seconds, is believed. */
export function negativeLifetime(ttl: number, options: FreshnessOptions): number {
  return clamp(ttl * 1000, options.negativeMin, options.negativeMax);
}

/**
 * The pin a successful fetch makes.
 *
 * It holds for `max_age`, counted from the fetch (RFC 8461 §3.2), but for `recheckMin` at least: an owner who writes
 * `max_age: 0` would otherwise have us fetch at every query.
 *
 * @param random a number in [0, 1) that an attacker cannot foresee (RFC 8461 §10.2)
 */
export function newPin(
  recordId: string,
  fetched: FetchedPolicy,
  now: number,
  random: number,
  options: FreshnessOptions,
): Pin {
  const { mode, mx, maxAge } = fetched.policy;
  const lifetime = Math.max(maxAge * 1000, options.recheckMin);
  const earliest = lifetime * options.renewFrom;
  const withMargin = lifetime - options.renewMargin;
  const latest =
    withMargin < earliest ? lifetime * options.renewTo : Math.min(lifetime * options.renewTo, withMargin);
  return {
    recordId,
    text: fetched.text,
    mode,
    mx,
    maxAge,
    fetchedAt: now,
    expiresAt: now + lifetime,
    renewAt: Math.round(now + earliest + random * (latest - earliest)),
  };
}

/** Of what a pin has left to live, the longest pause between two tries to renew it. */
const PART_OF_LIFE_LEFT = 0.25;

/** Failures that may well be ours: DNS, or the proxy, could not be asked. */
const MAYBE_OURS: ReadonlySet<string> = new Set<FetchFailureReason>(["dns-error", "proxy-failed"]);

/**
 * The failure to remember after a fetch for `recordId` failed. RFC 8461 §3.3 asks for five minutes at least between fetches
 * from a policy host; where none was reached, a shorter pause will do, so that an outage of ours costs no more than itself.
 *
 * @param pin the pin in force, if any: it is tried for again often enough not to lapse meanwhile
 */
export function nextFailure(
  { failure: previous, pin }: Pick<Entry, "failure" | "pin">,
  recordId: string,
  error: FetchError,
  now: number,
  options: FreshnessOptions,
): FetchFailure {
  const count = previous?.recordId === recordId ? previous.count + 1 : 1;
  const isOurs = MAYBE_OURS.has(error.reason);
  const first = isOurs ? Math.min(options.dnsFailure, options.backoffMin) : options.backoffMin;
  const longest = isOurs ? options.backoffMin : options.backoffMax;
  const life =
    pin === undefined
      ? Infinity
      : Math.max(options.backoffMin, Math.floor((pin.expiresAt - now) * PART_OF_LIFE_LEFT));
  const pause = Math.min(first * 2 ** (count - 1), longest, life);
  return {
    recordId,
    reason: error.reason,
    detail: error.message,
    count,
    failedAt: now,
    retryAt: now + pause,
  };
}

/** The pin of `entry` if it still holds at `now`. */
export function livePin(entry: Entry | undefined, now: number): Pin | undefined {
  return entry?.pin !== undefined && now < entry.pin.expiresAt ? entry.pin : undefined;
}

/**
 * Whether the policy under `recordId` is to be fetched now: when no live pin has that id, or when the pin is due for
 * renewal; but not while a failure of that id is being left alone.
 */
export function wantsFetch(entry: Entry | undefined, recordId: string, now: number): boolean {
  if (entry?.failure?.recordId === recordId && now < entry.failure.retryAt) return false;
  const pin = livePin(entry, now);
  return pin === undefined || pin.recordId !== recordId || now >= pin.renewAt;
}

/**
 * `entry` with its policy due at `now`, whatever was planned: no back-off holds the next fetch off, and the same id does not
 * spare it. Failures go on being counted, so that the pause after one more is no shorter.
 */
export function madeDue(entry: Entry, now: number): Entry {
  const { pin, failure } = entry;
  return {
    ...entry,
    pin: pin && { ...pin, renewAt: Math.min(pin.renewAt, now) },
    failure: failure && { ...failure, retryAt: Math.min(failure.retryAt, now) },
  };
}

/**
 * `entry`, for which no policy came although it was {@link madeDue}, with its policy due when it was `before`: that the
 * administrator asked once is no reason to go on asking.
 */
export function asPlanned(entry: Entry, before: Entry): Entry {
  const { pin, failure } = entry;
  const isSameFailure = failure?.failedAt === before.failure?.failedAt;
  return {
    ...entry,
    pin: pin && { ...pin, renewAt: Math.max(pin.renewAt, before.pin?.renewAt ?? 0) },
    failure: failure && {
      ...failure,
      retryAt: Math.max(failure.retryAt, isSameFailure ? (before.failure?.retryAt ?? 0) : 0),
    },
  };
}

/**
 * `entry` with nothing due before its next check. For one whose policy cannot be fetched now, there being no record: what is
 * due and cannot be done would otherwise be tried at every query.
 */
export function putOff(entry: Entry): Entry {
  const { pin, failure, checkAt } = entry;
  return {
    ...entry,
    pin: pin && { ...pin, renewAt: Math.max(pin.renewAt, checkAt) },
    failure: failure && { ...failure, retryAt: Math.max(failure.retryAt, checkAt) },
  };
}

/**
 * When something is next to be done for `entry`: ask for the record, renew the policy, try a failed fetch again, or look for
 * a policy in place of one that expired.
 */
export function nextActionAt(entry: Entry): number {
  const { pin, failure, checkAt } = entry;
  return Math.min(checkAt, fetchDueAt(pin, failure), pin?.expiresAt ?? Infinity);
}

function fetchDueAt(pin: Pin | undefined, failure: FetchFailure | undefined): number {
  if (failure === undefined) return pin?.renewAt ?? Infinity;
  return failure.recordId === pin?.recordId ? Math.max(pin.renewAt, failure.retryAt) : failure.retryAt;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
