/** What is known of domains: in memory, and behind it in the store. */
import type { LRUCache } from "lru-cache";

import { rebased } from "../store/rebase.ts";
import { StoreError } from "../store/store.ts";
import type { Entry, PolicyStore } from "../store/store.ts";
import { DomainState } from "./domain-state.ts";
import type { LookupEvents } from "./events.ts";
import { growingCache } from "./growing-cache.ts";

/** The row could not be read, so there may be a pin that we cannot see. */
export const UNREADABLE = Symbol("unreadable");

export interface DomainMemoryDeps {
  readonly store: PolicyStore;
  readonly events: LookupEvents;
  /** Domains held in memory. */
  readonly memoryEntries: number;
}

/** An LRU in front of the store. It bounds memory and nothing else: how long a thing holds stands in the thing itself. */
export class DomainMemory {
  readonly #store: PolicyStore;
  readonly #events: LookupEvents;
  readonly #states: LRUCache<string, DomainState>;
  #changes = 0;

  constructor({ store, events, memoryEntries }: DomainMemoryDeps) {
    this.#store = store;
    this.#events = events;
    this.#states = growingCache(memoryEntries);
  }

  /** How often something that was known was replaced or dropped, other than for want of room. */
  get changes(): number {
    return this.#changes;
  }

  /** From memory, else from the store; undefined where neither has it or the store cannot be read. */
  get(domain: string): DomainState | undefined {
    return this.#states.get(domain) ?? this.#recall(domain);
  }

  /** What memory alone holds. Nothing is read or moved. */
  peek(domain: string): DomainState | undefined {
    return this.#states.peek(domain);
  }

  /** The entry of memory, else the row of the store. */
  entry(domain: string): Entry | typeof UNREADABLE | undefined {
    return this.#states.get(domain)?.entry ?? this.#stored(domain);
  }

  set(domain: string, state: DomainState): void {
    this.#changes += 1;
    this.#states.set(domain, state);
  }

  /** Has the store read again when the domain is next asked for. */
  delete(domain: string): void {
    this.#changes += 1;
    this.#states.delete(domain);
  }

  /**
   * The clock was stepped, and is `now`. A policy held in memory is held on from there; all else is read or asked for again,
   * so that a pin that seemed to have expired meanwhile is back.
   */
  rebase(now: number): void {
    this.#changes += 1;
    // In the order of use, which so stays as it is.
    for (const [domain, { value }] of this.#states.dump()) {
      if (!value.hasPin) this.#states.delete(domain);
      else this.#states.set(domain, new DomainState(rebased(value.entry, now)));
    }
  }

  #recall(domain: string): DomainState | undefined {
    const entry = this.#stored(domain);
    if (entry === undefined || entry === UNREADABLE) return undefined;
    const state = new DomainState(entry);
    this.#states.set(state.domain, state);
    return state;
  }

  #stored(domain: string): Entry | typeof UNREADABLE | undefined {
    try {
      return this.#store.get(domain);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#events.storeFailed("read", domain, error);
      return UNREADABLE;
    }
  }
}
