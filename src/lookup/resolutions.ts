/** The resolutions under way: one a domain, its result on disk and in memory before anybody is told of it. */
import type { KnownDaneKind } from "../policy/verdict.ts";
import { rebased } from "../store/rebase.ts";
import type { Entry, PolicyStore } from "../store/store.ts";
import type { Stop } from "./deadline.ts";
import { commit } from "./commit.ts";
import type { DaneSource } from "./dane/dane-source.ts";
import { UNREADABLE } from "./domain-memory.ts";
import type { DomainMemory } from "./domain-memory.ts";
import { DomainState } from "./domain-state.ts";
import type { LookupEvents, ResolutionOutcome, ResolutionTrigger } from "./events.ts";
import { asPlanned, livePin, madeDue } from "./freshness.ts";
import { resolvePolicy } from "./resolution.ts";
import type { ResolutionDeps, ResolutionResult } from "./resolution.ts";
import { TurnGivenUp, Turns } from "./turns.ts";
import type { Turn } from "./turns.ts";

export interface ResolutionsDeps extends ResolutionDeps {
  readonly memory: DomainMemory;
  readonly store: PolicyStore;
  readonly dane: Pick<DaneSource, "withPolicy">;
  readonly events: LookupEvents;
  /** Milliseconds: the longest an answer waits for its policy to reach the disk; after that it is given from memory alone. */
  readonly commitTimeout: number;
  /** Unknown domains that are resolved at once. */
  readonly concurrency: number;
  /** Ends all resolutions. */
  readonly stop: Stop;
}

/** Whoever waits for an answer. */
export interface Asker {
  /** Told apart by identity: a connection. */
  readonly client: unknown;
  /** Work that is part of the turn, begun beside the resolution. Never rejects. */
  readonly beside?: () => unknown;
}

export interface Asked {
  readonly resolved: Promise<Resolved>;
  /** To be called when the asker waits no longer: if nobody else does, nothing is begun any more. */
  readonly giveUp: () => void;
}

interface Flight {
  readonly resolved: Promise<Resolved>;
  /** Undefined where it has not to wait for one. */
  readonly turn: Turn | undefined;
}

/** What a resolution came to, and what is known after it. */
export interface Resolved {
  readonly state: DomainState;
  readonly result: ResolutionResult;
  /** The row could not be read and nothing was fetched in its place: that there is no policy is not known. */
  readonly isUnreadable: boolean;
  /** A policy was fetched, but was not written in time. */
  readonly isUnwritten: boolean;
}

/** Failures of this machine, which a fetch of any domain would have met. */
const OUR_FAULTS: ReadonlySet<string> = new Set(["overloaded", "local-error"]);

/** Known domains that are looked up again have turns of their own, this many for each of the unknown ones. */
const RECHECK_PART = 0.25;

/** Rechecks that wait for their turn. Another need not: it is made up for at the next question. */
const MOST_RECHECKS_WAITING = 1_000;

/**
 * Starts resolutions, and lets whoever asks for a domain that is being resolved join in.
 *
 * How much runs at once is bounded for each trigger by itself, so that a flood of unknown domains holds up nothing that keeps
 * pins alive: queries and rechecks by turns, renewals and commands by whoever starts them.
 *
 * A query waits for its turn as long as somebody waits for its answer, and no longer. So those who wait are bounded by the
 * questions that may wait at all (waiting-questions.ts); below that there is no length at which one is turned away: after a restart
 * a long queue is legitimate and soon worked off, and to be turned away early could only mean NOTFOUND sooner than at the
 * deadline, or TEMP, which would make mail wait because of us.
 */
export class Resolutions {
  readonly #deps: ResolutionsDeps;
  /**
   * Single flight: a domain is resolved once at a time, whoever asks. Safe because a flight is entered here in the same
   * turn in which its absence was seen, and leaves in `finally`, after its result stands in memory, or when it is given up.
   */
  readonly #flights = new Map<string, Flight>();
  /** Domains that were forgotten while they are resolved. */
  readonly #forgotten = new Set<string>();

  readonly #queries: Turns;
  readonly #rechecks: Turns;

  constructor(deps: ResolutionsDeps) {
    this.#deps = deps;
    this.#queries = new Turns(deps.concurrency);
    this.#rechecks = new Turns(Math.ceil(deps.concurrency * RECHECK_PART));
    deps.stop.wait(() => {
      this.#queries.giveUpAll();
      this.#rechecks.giveUpAll();
    });
  }

  /** Domains that are being resolved, whatever for. */
  get running(): number {
    return this.#flights.size - this.waiting;
  }

  /** Domains that wait for their turn. */
  get waiting(): number {
    return this.#queries.waiting + this.#rechecks.waiting;
  }

  /**
   * Resolves `domain` as far as anything is due, or joins the resolution that runs. Rejects on a fault of our own, and with
   * {@link TurnGivenUp} when whoever asked has given up before it began, or we stop.
   */
  resolve(domain: string, trigger: ResolutionTrigger, asker?: Asker): Promise<Resolved> {
    const running = this.#flights.get(domain);
    if (running !== undefined) {
      running.turn?.join(asker?.client);
      return running.resolved;
    }
    const turn = this.#turnsFor(trigger)?.take(asker?.client);
    const resolved = this.#inTurn(domain, trigger, turn, asker);
    this.#flights.set(domain, { resolved, turn });
    return resolved;
  }

  #land(domain: string): void {
    this.#flights.delete(domain);
    this.#forgotten.delete(domain);
  }

  /** The same for a client, which does not wait for ever. */
  ask(domain: string, asker: Asker): Asked {
    const resolved = this.resolve(domain, "query", asker);
    // Later it may be another flight.
    const turn = this.#flights.get(domain)?.turn;
    const giveUp = () => {
      // At once, for whoever asks in the same turn of the event loop must not join in.
      if (turn?.leave() === true) this.#land(domain);
    };
    return { resolved, giveUp };
  }

  /** The same for whoever does not wait: a fault is reported. Never rejects. */
  async resolveInBackground(domain: string, trigger: ResolutionTrigger): Promise<void> {
    if (trigger === "recheck" && this.#rechecks.waiting >= MOST_RECHECKS_WAITING) return;
    try {
      await this.resolve(domain, trigger);
    } catch (error) {
      if (!(error instanceof TurnGivenUp)) this.#deps.events.failed(domain, error);
    }
  }

  /**
   * Asks for the record of `domain` now, and fetches its policy even where the id is the same or a failure is being left
   * alone. Without a record nothing is fetched, and a pin stays what it is. Rejects on a fault of our own only.
   */
  async refetch(domain: string): Promise<ResolutionResult> {
    // A resolution that runs may not fetch; this one must.
    for (let running: Flight | undefined; (running = this.#flights.get(domain)) !== undefined;) {
      await running.resolved.catch(() => undefined);
    }
    return (await this.resolve(domain, "command")).result;
  }

  /** What a resolution under way knew of `domain` before is not written any more; a policy it fetches is. */
  forget(domain: string): void {
    const running = this.#flights.get(domain);
    if (running === undefined) return;
    this.#forgotten.add(domain);
    // What it brings may be older than a row that another process wrote.
    const again = () => this.#deps.memory.delete(domain);
    void running.resolved.then(again, again);
  }

  /** The clock was stepped: a pin that had lapsed when a resolution began may hold again, so its row is read once more. */
  rebase(): void {
    const { memory } = this.#deps;
    for (const [domain, { resolved }] of this.#flights) {
      const again = () => {
        if (memory.peek(domain)?.hasPin !== true) memory.delete(domain);
      };
      void resolved.then(again, again);
    }
  }

  #turnsFor(trigger: ResolutionTrigger): Turns | undefined {
    if (trigger === "query") return this.#queries;
    return trigger === "recheck" ? this.#rechecks : undefined;
  }

  async #inTurn(
    domain: string,
    trigger: ResolutionTrigger,
    turn: Turn | undefined,
    asker: Asker | undefined,
  ): Promise<Resolved> {
    let hasBegun = false;
    let beside: unknown;
    try {
      await turn?.begun;
      hasBegun = true;
      beside = asker?.beside?.();
      return await this.#resolveOnce(domain, trigger);
    } finally {
      // Of one that was given up, the place may be another's; one without a turn never is.
      if (this.#flights.get(domain)?.turn === turn) this.#land(domain);
      const end = () => turn?.end();
      // The answer need not wait for it, but the next domain does.
      if (hasBegun) void Promise.resolve(beside).then(end, end);
    }
  }

  async #untilStop<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { stop } = this.#deps;
    const controller = new AbortController();
    const abort = () => controller.abort();
    stop.wait(abort);
    try {
      return await work(controller.signal);
    } finally {
      stop.leave(abort);
    }
  }

  async #resolveOnce(domain: string, trigger: ResolutionTrigger): Promise<Resolved> {
    const { events, memory, now, stop } = this.#deps;
    const startedAt = now();
    const known = memory.entry(domain);
    const readable = known === UNREADABLE ? undefined : known;
    const isCommanded = trigger === "command" && readable !== undefined;
    const before = isCommanded ? madeDue(readable, startedAt) : readable;
    const result = await this.#untilStop((signal) => resolvePolicy(domain, before, this.#deps, signal));
    const { outcome } = result;
    const isFetched = outcome.kind === "fetched";
    const learnt = isCommanded && !isFetched ? asPlanned(result.entry, readable) : result.entry;
    // The clock may have been set back meanwhile.
    const entry = rebased(learnt, now());
    const state = new DomainState(entry, unknownBecause(outcome));
    const isUnreadable = known === UNREADABLE && !isFetched;
    // A resolution that stopping cut short has learnt nothing that is worth remembering.
    if (stop.isCalled && !isFetched) return { state, result, isUnreadable, isUnwritten: false };
    // What was known before has been forgotten meanwhile; only a policy fetched since is worth keeping.
    const isForgotten = this.#forgotten.has(domain) && !isFetched;
    // The state goes with every policy, for the row may have been deleted meanwhile, by another process too, and the state with it.
    const daneState = isFetched ? this.#deps.dane.withPolicy(domain, known === undefined) : undefined;
    const written = isForgotten ? undefined : this.#write(entry, daneState);
    // A policy is on disk before Postfix is told of it, and so is what the refresher reads next; all else may follow.
    const isWritten = isFetched || trigger === "renewal" ? await written : undefined;
    // A sweep over rows that nobody asks for at the moment must not drive out those that are asked for.
    const isAsked = trigger === "query" || trigger === "recheck";
    const isWanted = isAsked || memory.peek(domain) !== undefined;
    // Only a policy is remembered in place of a row that could not be read.
    if (isWanted && !isUnreadable && !isForgotten) memory.set(domain, state);
    const pin = livePin(entry, now());
    events.resolved({ domain, trigger, outcome, entry, pin, durationMs: now() - startedAt });
    return { state, result, isUnreadable, isUnwritten: isWritten === false };
  }

  /** Resolves when `entry` is on disk (then true), or will not be in time; undefined where there is nothing to be written. */
  #write(entry: Entry, daneState: KnownDaneKind | undefined): Promise<boolean> | undefined {
    const { store, events, commitTimeout } = this.#deps;
    const { domain, pin, failure } = entry;
    if (pin === undefined && failure === undefined) return undefined;
    return commit(() => store.put(entry, daneState), domain, events, commitTimeout);
  }
}

/** Why it is not known whether there is a policy. That we could not, or had too much to do, says nothing about the domain. */
function unknownBecause(outcome: ResolutionOutcome): string | undefined {
  if (outcome.kind === "dns-failure") return outcome.error.message;
  const isOurs = outcome.kind === "fetch-failure" && OUR_FAULTS.has(outcome.error.reason);
  return isOurs ? outcome.error.message : undefined;
}
