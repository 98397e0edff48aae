/** The resolutions under way: one a domain, its result on disk and in memory before anybody is told of it. */
import { rebased } from "../store/rebase.ts";
import type { PolicyStore } from "../store/store.ts";
import { commit } from "./commit.ts";
import { UNREADABLE } from "./domain-memory.ts";
import type { DomainMemory } from "./domain-memory.ts";
import { DomainState } from "./domain-state.ts";
import type { LookupEvents, ResolutionOutcome, ResolutionTrigger } from "./events.ts";
import { livePin, madeDue } from "./freshness.ts";
import { resolvePolicy } from "./resolution.ts";
import type { ResolutionDeps, ResolutionResult } from "./resolution.ts";

export interface ResolutionsDeps extends ResolutionDeps {
  readonly memory: DomainMemory;
  readonly store: PolicyStore;
  readonly events: LookupEvents;
  /** Milliseconds: the longest an answer waits for its policy to reach the disk; after that it is given from memory alone. */
  readonly commitTimeout: number;
  /** Ends all resolutions. */
  readonly signal: AbortSignal;
}

/** What a resolution came to, and what is known after it. */
export interface Resolved {
  readonly state: DomainState;
  readonly result: ResolutionResult;
  /** The row could not be read and nothing was fetched in its place: that there is no policy is not known. */
  readonly isUnreadable: boolean;
}

/** Failures of this machine, which a fetch of any domain would have met. */
const OUR_FAULTS: ReadonlySet<string> = new Set(["overloaded", "local-error"]);

/** Starts resolutions, and lets whoever asks for a domain that is being resolved join in. */
export class Resolutions {
  readonly #deps: ResolutionsDeps;
  /**
   * Single flight: a domain is resolved once at a time, whoever asks. Safe because a flight is entered here in the same
   * turn in which its absence was seen, and leaves in `finally`, after its result stands in memory.
   */
  readonly #flights = new Map<string, Promise<Resolved>>();
  /** Domains that were forgotten while they are resolved. */
  readonly #forgotten = new Set<string>();

  constructor(deps: ResolutionsDeps) {
    this.#deps = deps;
  }

  /** How many run. */
  get running(): number {
    return this.#flights.size;
  }

  /** Resolves `domain` as far as anything is due, or joins the resolution that runs. Rejects on a fault of our own only. */
  resolve(domain: string, trigger: ResolutionTrigger): Promise<Resolved> {
    const running = this.#flights.get(domain);
    if (running !== undefined) return running;
    const flight = this.#resolveOnce(domain, trigger).finally(() => {
      this.#flights.delete(domain);
      this.#forgotten.delete(domain);
    });
    this.#flights.set(domain, flight);
    return flight;
  }

  /** The same for whoever does not wait: a fault is reported. Never rejects. */
  async resolveInBackground(domain: string, trigger: ResolutionTrigger): Promise<void> {
    try {
      await this.resolve(domain, trigger);
    } catch (error) {
      this.#deps.events.failed(domain, error);
    }
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
    return (await this.resolve(domain, "command")).result;
  }

  /** What a resolution under way knew of `domain` before is not written any more; a policy it fetches is. */
  forget(domain: string): void {
    const running = this.#flights.get(domain);
    if (running === undefined) return;
    this.#forgotten.add(domain);
    // What it brings may be older than a row that another process wrote.
    const again = () => this.#deps.memory.delete(domain);
    void running.then(again, again);
  }

  async #resolveOnce(domain: string, trigger: ResolutionTrigger): Promise<Resolved> {
    const { events, memory, now, signal } = this.#deps;
    const startedAt = now();
    const known = memory.entry(domain);
    const readable = known === UNREADABLE ? undefined : known;
    const before = trigger === "command" && readable ? madeDue(readable, startedAt) : readable;
    const result = await resolvePolicy(domain, before, this.#deps, signal);
    const { outcome } = result;
    // The clock may have been set back meanwhile.
    const entry = rebased(result.entry, now());
    const state = new DomainState(entry, unknownBecause(outcome));
    const isFetched = outcome.kind === "fetched";
    const isUnreadable = known === UNREADABLE && !isFetched;
    // A resolution that stopping cut short has learnt nothing that is worth remembering.
    if (signal.aborted && !isFetched) return { state, result, isUnreadable };
    // What was known before has been forgotten meanwhile; only a policy fetched since is worth keeping.
    const isForgotten = this.#forgotten.has(domain) && !isFetched;
    const written = isForgotten ? undefined : commit(entry, this.#deps, this.#deps.commitTimeout);
    // A policy is on disk before Postfix is told of it, and so is what the refresher reads next; all else may follow.
    if (isFetched || trigger === "renewal") await written;
    // A sweep over rows that nobody asks for at the moment must not drive out those that are asked for.
    const isAsked = trigger === "query" || trigger === "recheck";
    const isWanted = isAsked || memory.peek(domain) !== undefined;
    // Only a policy is remembered in place of a row that could not be read.
    if (isWanted && !isUnreadable && !isForgotten) memory.set(domain, state);
    const pin = livePin(entry, now());
    events.resolved({ domain, trigger, outcome, entry, pin, durationMs: now() - startedAt });
    return { state, result, isUnreadable };
  }
}

/** Why it is not known whether there is a policy. That we could not, or had too much to do, says nothing about the domain. */
function unknownBecause(outcome: ResolutionOutcome): string | undefined {
  if (outcome.kind === "dns-failure") return outcome.error.message;
  const isOurs = outcome.kind === "fetch-failure" && OUR_FAULTS.has(outcome.error.reason);
  return isOurs ? outcome.error.message : undefined;
}
