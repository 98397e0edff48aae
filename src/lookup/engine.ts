/**
 * Trust on first use (RFC 8461 §3.3, §5.1): answers from memory, then from the store, and resolves when neither can.
 *
 * A domain is in one of three states: never heard of (the client waits for the resolution, up to the deadline), known
 * (answered at once), or known and due (answered at once if a policy is held, and resolved in the background).
 */
import type { MapProfile } from "../policy/map-profile.ts";
import { postfixReply } from "../policy/postfix-reply.ts";
import { temporaryFailure } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";
import { isHeldBack } from "../policy/rollout.ts";
import { needsDane, verdict } from "../policy/verdict.ts";
import type { PolicyStore } from "../store/store.ts";
import { commit } from "./commit.ts";
import { DANE_NOT_ASKED } from "./dane/dane-source.ts";
import type { DaneSource, KnownDane } from "./dane/dane-source.ts";
import { Stop, withinDeadline } from "./deadline.ts";
import type { DeadlineOptions, Impatience } from "./deadline.ts";
import { DomainMemory, UNREADABLE } from "./domain-memory.ts";
import type { DomainState } from "./domain-state.ts";
import type { LookupEvents } from "./events.ts";
import type { ResolutionDeps, ResolutionResult } from "./resolution.ts";
import { Resolutions } from "./resolutions.ts";
import { WaitingQuestions } from "./waiting-questions.ts";

/** Durations in milliseconds. */
export interface EngineOptions {
  /** Domains held in memory. */
  readonly memoryEntries: number;
  /** The longest a client waits. */
  readonly deadline: number;
  /** Unknown domains that are resolved at once. */
  readonly concurrency: number;
  /** The longest an answer waits for its policy to reach the disk; after that it is given from memory alone. */
  readonly commitTimeout: number;
  /** Questions that wait at once, of all clients together. */
  readonly mostWaiting: number;
}

export interface EngineDeps extends ResolutionDeps {
  readonly store: PolicyStore;
  readonly dane: DaneSource;
  readonly events: LookupEvents;
  readonly options: EngineOptions;
}

/** `usedAt` is kept to the minute: finer would only write more. */
const TOUCH_INTERVAL = 60_000;

/** Answers lookups; the only thing that sees memory, resolutions and DANE together. */
export class LookupEngine {
  readonly #deps: EngineDeps;
  readonly #memory: DomainMemory;
  readonly #resolutions: Resolutions;
  readonly #waiting: WaitingQuestions;
  readonly #stop = new Stop();

  constructor(deps: EngineDeps) {
    const { memoryEntries, commitTimeout, concurrency, mostWaiting } = deps.options;
    this.#deps = deps;
    this.#waiting = new WaitingQuestions(mostWaiting);
    this.#memory = new DomainMemory({ ...deps, memoryEntries });
    this.#resolutions = new Resolutions({
      ...deps,
      memory: this.#memory,
      commitTimeout,
      concurrency,
      stop: this.#stop,
    });
  }

  /**
   * The reply for `domain` under `profile`; at once where memory or the store can answer. Never throws or rejects.
   *
   * @param profile compared by identity: its prepared replies are found by it
   * @param client compared by identity: those that wait for unknown domains take turns. What only a client that is gone has
   *   asked for, and has not begun, is dropped
   */
  lookup(domain: string, profile: MapProfile, client?: Stop): Reply | Promise<Reply> {
    try {
      return this.#lookup(domain, profile, client);
    } catch (error) {
      return this.#failed(domain, error);
    }
  }

  #lookup(domain: string, profile: MapProfile, client?: Stop): Reply | Promise<Reply> {
    const now = this.#deps.now();
    const state = this.#memory.get(domain);
    if (state === undefined) return this.#resolveAndAnswer(domain, profile, client);
    this.#noteUse(state, now);
    const prepared = state.prepared(profile);
    if (prepared !== undefined && now < prepared.until) return prepared.reply;
    if (!state.isAnswerable(now)) return this.#resolveAndAnswer(domain, profile, client);
    if (now >= state.actionAt) void this.#resolutions.resolveInBackground(domain, "recheck");
    const answer = this.#answer(state, profile);
    return answer instanceof Promise ? this.#withinDeadline(domain, profile, answer, { client }) : answer;
  }

  /** Until when (milliseconds) the last reply for `domain` under `profile` may be repeated, as long as {@link changes} is the same. */
  repeatableUntil(domain: string, profile: MapProfile): number {
    return this.#memory.peek(domain)?.prepared(profile)?.until ?? 0;
  }

  /** Grows whenever something that was known of any domain is replaced or dropped. */
  get changes(): number {
    return this.#memory.changes;
  }

  /** Renews the policy of `domain` unless memory knows that nothing is due. Never rejects. */
  async renew(domain: string): Promise<void> {
    const state = this.#memory.peek(domain);
    if (state !== undefined && this.#deps.now() < state.actionAt) return;
    await this.#resolutions.resolveInBackground(domain, "renewal");
  }

  /** As {@link Resolutions.refetch}. */
  refetch(domain: string): Promise<ResolutionResult> {
    return this.#resolutions.refetch(domain);
  }

  /** What memory holds of `domain`. Nothing is asked, noted or changed. */
  peek(domain: string): DomainState | undefined {
    return this.#memory.peek(domain);
  }

  /** Notes that `domain` was asked for, by somebody whom another answered. Never throws. */
  noteUse(domain: string): void {
    try {
      const state = this.#memory.get(domain);
      if (state !== undefined) this.#noteUse(state, this.#deps.now());
    } catch (error) {
      this.#deps.events.failed(domain, error);
    }
  }

  /** Domains that are being resolved. */
  get resolving(): number {
    return this.#resolutions.running;
  }

  /** Domains that wait for their turn to be resolved. */
  get waiting(): number {
    return this.#resolutions.waiting;
  }

  /** Has the row of `domain` read again: it was deleted, or written by another process. */
  forget(domain: string): void {
    this.#memory.delete(domain);
    this.#resolutions.forget(domain);
  }

  /** The clock was stepped, and is `now`. */
  rebase(now: number): void {
    this.#memory.rebase(now);
    this.#resolutions.rebase();
  }

  /** Ends all resolutions that run. Whoever waits, or would have to wait from now on, gets TEMP. Idempotent. */
  stop(): void {
    this.#stop.call();
  }

  #noteUse(state: DomainState, now: number): void {
    if (now - state.touchedAt < TOUCH_INTERVAL) return;
    state.touchedAt = now;
    if (state.hasPin) this.#deps.store.touch(state.domain, now);
  }

  /**
   * The reply from what is known; DANE may have to be asked for.
   *
   * @param isUnwritten the policy could not be written: nobody waits for the disk again
   */
  #answer(state: DomainState, profile: MapProfile, isUnwritten = false): Reply | Promise<Reply> {
    if (!needsDane(state.finding(this.#deps.now()), profile))
      return this.#prepare(state, profile, DANE_NOT_ASKED);
    const dane = this.#deps.dane.find(state.domain, profile.dane === "yield");
    if (!(dane instanceof Promise)) return this.#prepareKept(state, profile, dane, isUnwritten);
    return dane.then((known) => this.#prepareKept(state, profile, known, isUnwritten));
  }

  /** What an answer by a policy rests on is on disk before it is given, as the policy is. */
  #prepareKept(
    state: DomainState,
    profile: MapProfile,
    dane: KnownDane,
    isUnwritten: boolean,
  ): Reply | Promise<Reply> {
    const { now, events, options } = this.#deps;
    const { domain } = state;
    const write = state.isPinned(now()) ? this.#deps.dane.keep(domain, dane) : undefined;
    if (write === undefined) return this.#prepare(state, profile, dane);
    const written = commit(() => write, domain, events, options.commitTimeout);
    if (isUnwritten) return this.#prepare(state, profile, dane);
    return written.then(() => this.#prepare(state, profile, dane));
  }

  #prepare(state: DomainState, profile: MapProfile, dane: KnownDane): Reply {
    const now = this.#deps.now();
    const before = state.prepared(profile);
    const until = Math.min(state.actionAt, dane.until);
    // As long as the policy and what DANE says stay the same, so does the reply object: servers remember its encoding.
    const holds = before?.dane === dane && state.isPinned(now);
    const reply = holds
      ? before.reply
      : postfixReply(verdict(state.finding(now), dane.state, profile), profile.attributes);
    state.prepare({ profile, reply, until, dane });
    if (reply.status !== "TEMP" && reply.isHeldBack) this.#deps.events.heldBack(state.domain, profile);
    return reply;
  }

  #resolveAndAnswer(asked: string, profile: MapProfile, client: Stop | undefined): Promise<Reply> {
    const domain = detached(asked);
    // Such a map will want to know of DANE whatever comes: ask beside the policy, not after it.
    const beside = profile.dane === "dane-only" ? () => this.#deps.dane.find(domain, false) : undefined;
    const { resolved, giveUp } = this.#resolutions.ask(domain, { client, ...(beside && { beside }) });
    const work = resolved.then(({ state, isUnreadable, isUnwritten }) =>
      // A policy that would not be enforced is no reason to defer.
      isUnreadable && !isHeldBack(domain, profile.rollout)
        ? unreadable(domain)
        : this.#answer(state, profile, isUnwritten),
    );
    return this.#withinDeadline(domain, profile, work, { client, giveUp });
  }

  /** `work`, or what is known when the deadline has passed, or too many wait; TEMP when we stop meanwhile. */
  #withinDeadline(
    domain: string,
    profile: MapProfile,
    work: Promise<Reply>,
    asker: Pick<DeadlineOptions, "client" | "giveUp">,
  ): Promise<Reply> {
    const { events, options } = this.#deps;
    const late = (why: Impatience) => {
      if (why === "deadline") events.deadlinePassed(domain);
      else events.turnedAway(domain);
      return this.#lateReply(domain, profile);
    };
    const failed = (error: unknown) => this.#failed(domain, error);
    const { deadline } = options;
    return withinDeadline(work, {
      ...asker,
      deadline,
      late,
      failed,
      waiting: this.#waiting,
      stop: this.#stop,
    });
  }

  /** A fault of our own. TEMP, for NOTFOUND would be a claim. */
  #failed(domain: string, error: unknown): Reply {
    this.#deps.events.failed(domain, error);
    return temporaryFailure(`stsmapd failed on ${domain}: see its log`);
  }

  /** What can be said of `domain` without waiting further: a policy that does not come in time is none. */
  #lateReply(domain: string, profile: MapProfile): Reply {
    if (this.#memory.entry(domain) === UNREADABLE && !isHeldBack(domain, profile.rollout))
      return unreadable(domain);
    const state = this.#memory.get(domain);
    const finding = state?.finding(this.#deps.now()) ?? { kind: "absent" };
    const dane = needsDane(finding, profile) ? this.#deps.dane.atHand(domain) : DANE_NOT_ASKED.state;
    return postfixReply(verdict(finding, dane, profile), profile.attributes);
  }
}

/** A copy. Of a request of 10,000 octets in which `domain` stands, V8 would keep the whole as long as the part. */
function detached(domain: string): string {
  return Buffer.from(domain, "latin1").toString("latin1");
}

/** NOTFOUND would be a claim about a pin that may well be there. */
function unreadable(domain: string): Reply {
  return temporaryFailure(`the cache cannot be read, and may hold a policy of ${domain}`);
}
