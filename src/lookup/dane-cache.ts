/**
 * Remembers DANE states by the TTLs of the answers they were made of, apart from MTA-STS policies: a TLSA record that
 * appears must take over as soon as DNS lets us see it, whatever policy is pinned.
 */
import { LRUCache } from "lru-cache";

import type { DaneState, KnownDaneKind } from "../policy/verdict.ts";
import type { DaneSource, KnownDane } from "./dane-source.ts";

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
interface DiscoveredDane {
  readonly state: DaneState;
  readonly ttl: number;
}

export interface DaneCacheDeps {
  /** Never rejects. */
  readonly discover: (domain: string) => Promise<DiscoveredDane>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly options: DaneCacheOptions;
}

interface Flight {
  readonly startedAt: number;
  readonly result: Promise<KnownDane>;
}

export class DaneCache implements DaneSource {
  readonly #deps: DaneCacheDeps;
  readonly #known: LRUCache<string, KnownDane>;
  /** Single flight; see LookupEngine for why a Map of promises is safe. */
  readonly #flights = new Map<string, Flight>();

  constructor(deps: DaneCacheDeps) {
    this.#deps = deps;
    this.#known = new LRUCache({ max: deps.options.memoryEntries });
  }

  find(domain: string, acceptsLastKnown: boolean): KnownDane | Promise<KnownDane> {
    const now = this.#deps.now();
    const known = this.#known.get(domain);
    if (known !== undefined && now < known.until) return known;
    const flight = this.#flights.get(domain) ?? this.#start(domain, now);
    const lastKnown = known === undefined ? undefined : lastKnownOf(known.state);
    if (!acceptsLastKnown || lastKnown === undefined) return flight.result;
    const reason = `DANE state of ${domain} unknown: DNS does not answer`;
    const standIn: KnownDane = { state: { kind: "unknown", reason, lastKnown }, until: 0 };
    const patience = this.#deps.options.patience - (now - flight.startedAt);
    return patience > 0 ? firstOf(flight.result, patience, standIn) : standIn;
  }

  #start(domain: string, startedAt: number): Flight {
    const result = this.#discover(domain).finally(() => this.#flights.delete(domain));
    const flight = { startedAt, result };
    this.#flights.set(domain, flight);
    return flight;
  }

  async #discover(domain: string): Promise<KnownDane> {
    const { state, ttl } = await this.#deps.discover(domain);
    const { holdMin, holdMax } = this.#deps.options;
    const before = this.#known.get(domain);
    const until = this.#deps.now() + Math.min(Math.max(ttl * 1000, holdMin), holdMax);
    const known = { state: before === undefined ? state : withLastKnown(state, before.state), until };
    this.#known.set(domain, known);
    return known;
  }
}

function lastKnownOf(state: DaneState): KnownDaneKind | undefined {
  return state.kind === "unknown" ? state.lastKnown : state.kind;
}

function withLastKnown(state: DaneState, before: DaneState): DaneState {
  const lastKnown = lastKnownOf(before);
  return state.kind === "unknown" && lastKnown !== undefined ? { ...state, lastKnown } : state;
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
