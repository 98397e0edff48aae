/**
 * Trust on first use (RFC 8461 §3.3, §5.1): answers from memory, then from the store, and resolves when neither can.
 *
 * A domain is in one of three states: never heard of (the client waits for the resolution, up to the deadline), known
 * (answered at once), or known and due (answered at once if a policy is held, and resolved in the background).
 */
import { LRUCache } from "lru-cache";

import type { MapProfile } from "../policy/map-profile.ts";
import { postfixReply } from "../policy/postfix-reply.ts";
import { temporaryFailure } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";
import { needsDane, verdict } from "../policy/verdict.ts";
import type { DaneState } from "../policy/verdict.ts";
import { rebased } from "../store/rebase.ts";
import { StoreError } from "../store/store.ts";
import type { Entry, PolicyStore } from "../store/store.ts";
import { commit } from "./commit.ts";
import { DANE_NOT_ASKED } from "./dane/dane-source.ts";
import type { DaneSource, KnownDane } from "./dane/dane-source.ts";
import { withinDeadline } from "./deadline.ts";
import { DomainState } from "./domain-state.ts";
import type { LookupEvents, ResolutionTrigger } from "./events.ts";
import { livePin, madeDue } from "./freshness.ts";
import { resolvePolicy } from "./resolution.ts";
import type { ResolutionDeps, ResolutionResult } from "./resolution.ts";

/** Durations in milliseconds. */
export interface EngineOptions {
  /** Domains held in memory. */
  readonly memoryEntries: number;
  /** The longest a client waits. */
  readonly deadline: number;
  /** The longest an answer waits for its policy to reach the disk; after that it is given from memory alone. */
  readonly commitTimeout: number;
}

export interface EngineDeps extends ResolutionDeps {
  readonly store: PolicyStore;
  readonly dane: DaneSource;
  readonly events: LookupEvents;
  readonly options: EngineOptions;
}

/** `usedAt` is kept to the minute: finer would only write more. */
const TOUCH_INTERVAL = 60_000;

/** What a resolution came to, and what memory holds after it. */
interface Resolved {
  readonly state: DomainState;
  readonly result: ResolutionResult;
  /** The row could not be read and nothing was fetched in its place: that there is no policy is not known. */
  readonly isUnreadable: boolean;
}

/** The row could not be read, so there may be a pin that we cannot see. */
const UNREADABLE = Symbol("unreadable");

export class LookupEngine {
  readonly #deps: EngineDeps;
  readonly #memory: LRUCache<string, DomainState>;
  /**
   * Single flight: a domain is resolved once at a time, whoever asks. Safe because a flight is entered here in the same
   * turn in which its absence was seen, and leaves in `finally`, after its result stands in memory.
   */
  readonly #flights = new Map<string, Promise<Resolved>>();
  readonly #stop = new AbortController();

  constructor(deps: EngineDeps) {
    this.#deps = deps;
    this.#memory = new LRUCache({ max: deps.options.memoryEntries });
  }

  /**
   * The reply for `domain` under `profile`; at once where memory or the store can answer. Never throws or rejects.
   *
   * @param profile compared by identity: its prepared replies are found by it
   */
  lookup(domain: string, profile: MapProfile): Reply | Promise<Reply> {
    try {
      return this.#lookup(domain, profile);
    } catch (error) {
      return this.#failed(domain, error);
    }
  }

  #lookup(domain: string, profile: MapProfile): Reply | Promise<Reply> {
    const now = this.#deps.now();
    const state = this.#memory.get(domain) ?? this.#recall(domain);
    if (state === undefined) return this.#resolveAndAnswer(domain, profile);
    this.#noteUse(state, now);
    const prepared = state.prepared.get(profile);
    if (prepared !== undefined && now < prepared.until) return prepared.reply;
    if (!state.isAnswerable(now)) return this.#resolveAndAnswer(domain, profile);
    if (now >= state.actionAt) void this.#resolveInBackground(domain, "recheck");
    const answer = this.#answer(state, profile);
    return answer instanceof Promise ? this.#withinDeadline(domain, profile, answer) : answer;
  }

  /** Renews the policy of `domain` unless memory knows that nothing is due. Never rejects. */
  async renew(domain: string): Promise<void> {
    const state = this.#memory.peek(domain);
    if (state !== undefined && this.#deps.now() < state.actionAt) return;
    await this.#resolveInBackground(domain, "renewal");
  }

  /**
   * Asks for the record of `domain` now, and fetches its policy even where the id is the same or a failure is being left
   * alone. Without a record nothing is fetched, and a pin stays what it is. Rejects on a fault of our own only.
   */
  async refetch(domain: string): Promise<ResolutionResult> {
    // A resolution that runs may not fetch; this one must.
    for (let running; (running = this.#flights.get(domain)) !== undefined;) {
      await running.catch(() => undefined);
    }
    return (await this.#flight(domain, "command")).result;
  }

  /** What memory holds of `domain`. Nothing is asked, noted or changed. */
  peek(domain: string): DomainState | undefined {
    return this.#memory.peek(domain);
  }

  /** Drops what memory holds of `domain`, so that the store is read again: another process wrote its row. */
  forget(domain: string): void {
    this.#memory.delete(domain);
    // What a running flight brings may be older than that row.
    const again = () => this.#memory.delete(domain);
    void this.#flights.get(domain)?.then(again, again);
  }

  /**
   * The clock was stepped, and is `now`. A policy held in memory is held on from there; all else is read or asked for again,
   * so that a pin that seemed to have expired meanwhile is back.
   */
  rebase(now: number): void {
    // In the order of use, which so stays as it is.
    for (const [domain, { value }] of this.#memory.dump()) {
      if (value.entry.pin === undefined) this.#memory.delete(domain);
      else this.#memory.set(domain, new DomainState(rebased(value.entry, now)));
    }
  }

  /** Ends all resolutions that run. Whoever waits, or would have to wait from now on, gets TEMP. Idempotent. */
  stop(): void {
    this.#stop.abort();
  }

  #recall(domain: string): DomainState | undefined {
    const entry = this.#stored(domain);
    if (entry === undefined || entry === UNREADABLE) return undefined;
    const state = new DomainState(entry);
    this.#memory.set(domain, state);
    return state;
  }

  #stored(domain: string): Entry | typeof UNREADABLE | undefined {
    try {
      return this.#deps.store.get(domain);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#deps.events.storeFailed("read", domain, error);
      return UNREADABLE;
    }
  }

  #noteUse(state: DomainState, now: number): void {
    if (now - state.touchedAt < TOUCH_INTERVAL) return;
    state.touchedAt = now;
    if (state.entry.pin !== undefined) this.#deps.store.touch(state.entry.domain, now);
  }

  /** The reply from what is known; DANE may have to be asked for. */
  #answer(state: DomainState, profile: MapProfile): Reply | Promise<Reply> {
    if (!needsDane(state.finding(this.#deps.now()), profile))
      return this.#prepare(state, profile, DANE_NOT_ASKED);
    const dane = this.#deps.dane.find(state.entry.domain, profile.dane === "yield");
    if (!(dane instanceof Promise)) return this.#prepare(state, profile, dane);
    return dane.then((known) => this.#prepare(state, profile, known));
  }

  #prepare(state: DomainState, profile: MapProfile, dane: KnownDane): Reply {
    const now = this.#deps.now();
    const finding = state.finding(now);
    const before = state.prepared.get(profile);
    const until = Math.min(state.actionAt, dane.until);
    // As long as the policy and what DANE says stay the same, so does the reply object: servers remember its encoding.
    const holds = before?.dane === dane && livePin(state.entry, now) !== undefined;
    const reply = holds
      ? before.reply
      : postfixReply(verdict(finding, dane.state, profile), profile.attributes);
    state.prepared.set(profile, { reply, until, dane });
    return reply;
  }

  #resolveAndAnswer(domain: string, profile: MapProfile): Promise<Reply> {
    // Such a map will want to know of DANE whatever comes: ask beside the policy, not after it.
    if (profile.dane === "dane-only") void this.#deps.dane.find(domain, false);
    const work = this.#flight(domain, "query").then(({ state, isUnreadable }) =>
      isUnreadable ? unreadable(domain) : this.#answer(state, profile),
    );
    return this.#withinDeadline(domain, profile, work);
  }

  /** `work`, or what is known when the deadline has passed; TEMP when we stop meanwhile. */
  async #withinDeadline(domain: string, profile: MapProfile, work: Promise<Reply>): Promise<Reply> {
    const { events, options } = this.#deps;
    const late = () => {
      events.deadlinePassed(domain);
      return this.#lateReply(domain, profile);
    };
    try {
      return await withinDeadline(work, { deadline: options.deadline, late, signal: this.#stop.signal });
    } catch (error) {
      return this.#failed(domain, error);
    }
  }

  /** A fault of our own. TEMP, for NOTFOUND would be a claim. */
  #failed(domain: string, error: unknown): Reply {
    this.#deps.events.failed(domain, error);
    return temporaryFailure(`stsmapd failed on ${domain}: see its log`);
  }

  /** What can be said of `domain` without waiting further: a policy that does not come in time is none. */
  #lateReply(domain: string, profile: MapProfile): Reply {
    const state = this.#memory.get(domain) ?? this.#recall(domain);
    const finding = state?.finding(this.#deps.now()) ?? { kind: "absent" };
    const dane = needsDane(finding, profile)
      ? this.#deps.dane.find(domain, profile.dane === "yield")
      : DANE_NOT_ASKED;
    const known: DaneState =
      dane instanceof Promise
        ? { kind: "unknown", reason: `DANE state of ${domain} unknown: no answer in time` }
        : dane.state;
    return postfixReply(verdict(finding, known, profile), profile.attributes);
  }

  async #resolve(domain: string, trigger: ResolutionTrigger): Promise<DomainState> {
    return (await this.#flight(domain, trigger)).state;
  }

  #flight(domain: string, trigger: ResolutionTrigger): Promise<Resolved> {
    const running = this.#flights.get(domain);
    if (running !== undefined) return running;
    const flight = this.#resolveOnce(domain, trigger).finally(() => this.#flights.delete(domain));
    this.#flights.set(domain, flight);
    return flight;
  }

  async #resolveInBackground(domain: string, trigger: ResolutionTrigger): Promise<void> {
    try {
      await this.#resolve(domain, trigger);
    } catch (error) {
      this.#deps.events.failed(domain, error);
    }
  }

  async #resolveOnce(domain: string, trigger: ResolutionTrigger): Promise<Resolved> {
    const { events, now } = this.#deps;
    const startedAt = now();
    const known = this.#memory.get(domain)?.entry ?? this.#stored(domain);
    const readable = known === UNREADABLE ? undefined : known;
    const before = trigger === "command" && readable ? madeDue(readable, startedAt) : readable;
    const result = await resolvePolicy(domain, before, this.#deps, this.#stop.signal);
    const { outcome } = result;
    // The clock may have been set back meanwhile.
    const entry = rebased(result.entry, now());
    const state = new DomainState(entry, outcome.kind === "dns-failure" ? outcome.error.message : undefined);
    const isFetched = outcome.kind === "fetched";
    // A resolution that stopping cut short has learnt nothing that is worth remembering.
    const isUnreadable = known === UNREADABLE && !isFetched;
    if (this.#stop.signal.aborted && !isFetched) return { state, result, isUnreadable };
    const written = commit(entry, this.#deps, this.#deps.options.commitTimeout);
    // A policy is on disk before Postfix is told of it, and so is what the refresher reads next; all else may follow.
    if (isFetched || trigger === "renewal") await written;
    // A sweep over rows that nobody asks for at the moment must not drive out those that are asked for.
    const isAsked = trigger === "query" || trigger === "recheck";
    const isWanted = isAsked || this.#memory.has(domain);
    // Only a policy is remembered in place of a row that could not be read.
    if (isWanted && !isUnreadable) this.#memory.set(domain, state);
    const pin = livePin(entry, now());
    events.resolved({ domain, trigger, outcome, entry, pin, durationMs: now() - startedAt });
    return { state, result, isUnreadable };
  }
}

/** NOTFOUND would be a claim about a pin that may well be there. */
function unreadable(domain: string): Reply {
  return temporaryFailure(`the cache cannot be read, and may hold a policy of ${domain}`);
}
