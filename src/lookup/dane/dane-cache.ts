/**
 * Remembers DANE states by the TTLs of the answers they were made of, apart from MTA-STS policies: a TLSA record that
 * appears must take over as soon as DNS lets us see it, whatever policy is pinned.
 */
import type { LRUCache } from "lru-cache";

import type { DaneState, KnownDaneKind } from "../../policy/verdict.ts";
import { growingCache } from "../growing-cache.ts";
import type { DaneMemory, KnownDane } from "./dane-source.ts";

/** Durations in milliseconds. */
interface DaneCacheOptions {
  /** Domains held in memory. */
  readonly memoryEntries: number;
  /** Bounds on the time a state holds. */
  readonly holdMin: number;
  readonly holdMax: number;
  /** How long a client that accepts what was last known waits for better. */
  readonly patience: number;
}

/** A discovery's result and the seconds for which it holds. */
export interface DiscoveredDane {
  readonly state: DaneState;
  readonly ttl: number;
  /** Nothing was asked, because the resolver is not trusted: "none" for now, and no knowledge to be kept. */
  readonly isUnasked?: boolean;
  /** It did not come to its end, which is not news to be told. */
  readonly isCutShort?: boolean;
}

interface RememberedDane extends KnownDane {
  readonly isUnasked: boolean;
  /** Whether it is on disk, so far as anybody has to know; a promise while it is being written, undefined if nobody began to. */
  kept: true | Promise<void> | undefined;
}

export interface DaneCacheDeps {
  /** What was last known, from before a restart. May throw; then nothing is. */
  readonly recall: (domain: string) => KnownDaneKind | undefined;
  /** Keeps it for {@link recall}, where the domain has a row. Resolves when it is on disk. */
  readonly remember: (domain: string, kind: KnownDaneKind) => Promise<void>;
  /** A rejection counts as "unknown". */
  readonly discover: (domain: string) => Promise<DiscoveredDane>;
  /** The same at once; undefined where something has to be asked. */
  readonly discoverUnasked: (domain: string) => DiscoveredDane | undefined;
  /** Called with what each discovery came to, and what was last known before it. */
  readonly onFound: (domain: string, found: DiscoveredDane, before: KnownDaneKind | undefined) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly options: DaneCacheOptions;
}

interface Flight {
  readonly startedAt: number;
  readonly result: Promise<KnownDane>;
}

export class DaneCache implements DaneMemory {
  readonly #deps: DaneCacheDeps;
  readonly #known: LRUCache<string, RememberedDane>;
  /** Single flight; see Resolutions for why a Map of promises is safe. */
  readonly #flights = new Map<string, Flight>();

  constructor(deps: DaneCacheDeps) {
    this.#deps = deps;
    this.#known = growingCache(deps.options.memoryEntries);
  }

  find(domain: string, acceptsLastKnown: boolean): KnownDane | Promise<KnownDane> {
    const now = this.#deps.now();
    const known = this.#known.get(domain);
    if (known !== undefined && now < known.until) return known;
    const unasked = this.#deps.discoverUnasked(domain);
    if (unasked !== undefined) return this.#found(domain, unasked, this.#recalled(domain));
    const flight = this.#flights.get(domain) ?? this.#start(domain, now);
    if (!acceptsLastKnown) return flight.result;
    const lastKnown = this.#lastKnown(domain, known);
    if (lastKnown === undefined) return flight.result;
    const reason = `DANE state of ${domain} unknown: DNS does not answer`;
    const standIn: KnownDane = { state: { kind: "unknown", reason, lastKnown }, until: 0 };
    // Where DNS did not answer the last time either, nobody waits again.
    if (known?.state.kind === "unknown") return standIn;
    const patience = this.#deps.options.patience - (now - flight.startedAt);
    return patience > 0 ? firstOf(flight.result, patience, standIn) : standIn;
  }

  atHand(domain: string): DaneState {
    const known = this.#known.get(domain);
    if (known !== undefined && this.#deps.now() < known.until) return known.state;
    const reason = `DANE state of ${domain} unknown: no answer in time`;
    return withLastKnown({ kind: "unknown", reason }, this.#lastKnown(domain, known));
  }

  withPolicy(domain: string, isFirst: boolean): KnownDaneKind | undefined {
    let known = this.#known.get(domain);
    if (known === undefined || this.#deps.now() >= known.until) {
      const unasked = isFirst ? this.#deps.discoverUnasked(domain) : undefined;
      known = unasked && this.#found(domain, unasked, undefined);
    }
    if (known === undefined || known.state.kind === "unknown") return undefined;
    // Whatever becomes of the policy becomes of it.
    if (isFirst) known.kept = true;
    return known.state.kind;
  }

  keep(domain: string, { state }: KnownDane): Promise<void> | undefined {
    const known = this.#known.peek(domain);
    if (known?.state !== state || state.kind === "unknown" || known.kept === true) return undefined;
    known.kept ??= this.#remember(domain, state.kind, known);
    if (!known.isUnasked) return known.kept;
    // It filled a void, and after a crash it is at once what it is now: a policy that is held never waits for it.
    known.kept.catch(() => undefined);
    return undefined;
  }

  peek(domain: string): KnownDane | undefined {
    return this.#known.peek(domain);
  }

  /** Has all that is known looked at again when it is next asked for: the clock was stepped. */
  expire(): void {
    for (const [domain, { value }] of this.#known.dump()) this.#known.set(domain, { ...value, until: 0 });
  }

  #start(domain: string, startedAt: number): Flight {
    const result = this.#discover(domain).finally(() => this.#flights.delete(domain));
    const flight = { startedAt, result };
    this.#flights.set(domain, flight);
    return flight;
  }

  async #discover(domain: string): Promise<KnownDane> {
    const found = await this.#ask(domain);
    // What is kept now: the domain may have had no row before.
    return this.#found(domain, found, this.#recalled(domain));
  }

  /** @param recalled what is kept; that may not be what memory holds: the domain had no row yet, or the disk was full */
  #found(domain: string, discovered: DiscoveredDane, recalled: KnownDaneKind | undefined): RememberedDane {
    const { state: found, ttl, isUnasked = false, isCutShort = false } = discovered;
    if (!isCutShort) this.#deps.onFound(domain, discovered, recalled);
    const { holdMin, holdMax } = this.#deps.options;
    const before = this.#known.get(domain);
    const lastKnown = before === undefined || before.isUnasked ? recalled : lastKnownOf(before.state);
    // That nothing was asked fills a void, so that a policy beside a resolver that does not validate outlives an outage too, but
    // replaces no knowledge.
    const isNews = isUnasked ? recalled === undefined : found.kind !== recalled;
    // What a hung disk has been told already is waited for only once.
    const isBeingKept = before?.kept instanceof Promise && before.state.kind === found.kind;
    const known: RememberedDane = {
      state: withLastKnown(found, lastKnown),
      until: this.#deps.now() + Math.min(Math.max(ttl * 1000, holdMin), holdMax),
      isUnasked,
      kept: !isNews || isBeingKept ? true : undefined,
    };
    this.#known.set(domain, known);
    return known;
  }

  async #remember(domain: string, kind: KnownDaneKind, known: RememberedDane): Promise<void> {
    try {
      await this.#deps.remember(domain, kind);
      known.kept = true;
    } catch (error) {
      known.kept = undefined;
      throw error;
    }
  }

  /** That a discovery was cut short, or that we are at fault, is no answer about the domain. */
  async #ask(domain: string): Promise<DiscoveredDane> {
    try {
      return await this.#deps.discover(domain);
    } catch (error) {
      const reason = `DANE state of ${domain} unknown: ${error instanceof Error ? error.message : String(error)}`;
      return { state: { kind: "unknown", reason }, ttl: 0, isCutShort: true };
    }
  }

  #lastKnown(domain: string, known: RememberedDane | undefined): KnownDaneKind | undefined {
    return known === undefined || known.isUnasked ? this.#recalled(domain) : lastKnownOf(known.state);
  }

  #recalled(domain: string): KnownDaneKind | undefined {
    try {
      return this.#deps.recall(domain);
    } catch {
      return undefined;
    }
  }
}

function lastKnownOf(state: DaneState): KnownDaneKind | undefined {
  return state.kind === "unknown" ? state.lastKnown : state.kind;
}

/** What a failed discovery itself says of the MX set is newer than what was known before. */
function withLastKnown(state: DaneState, lastKnown: KnownDaneKind | undefined): DaneState {
  if (state.kind !== "unknown" || state.lastKnown !== undefined || lastKnown === undefined) return state;
  return { ...state, lastKnown };
}

async function firstOf<T>(work: Promise<T>, milliseconds: number, standIn: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(standIn), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
