/** The cache commands on a store and the engine before it. */
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import type { PolicyStore } from "../../store/store.ts";
import type {
  CacheAdmin,
  CacheFile,
  CacheFilter,
  CacheReport,
  ImportOptions,
  ImportResult,
  RefreshResult,
} from "./cache-admin.ts";
import { cacheAnswers } from "./answers.ts";
import { importRecords } from "./import.ts";
import { toRecord } from "./record.ts";
import type { CacheRecord } from "./record.ts";
import { cacheReport } from "./report.ts";
import { storedPages } from "./stored-pages.ts";
import { heldBackBy } from "./would-enforce.ts";
import type { DaneMemory } from "../dane/dane-source.ts";
import { DomainState } from "../domain-state.ts";
import type { LookupEngine } from "../engine.ts";
import type { ResolutionOutcome } from "../events.ts";
import type { LookupRules } from "../maps.ts";

/** Durations in milliseconds. */
interface CacheAdminOptions {
  /** A policy holds for this long at least. */
  readonly recheckMin: number;
  /** Between two domains that `refreshAll` starts with, and how many of them at once. */
  readonly pace: number;
  readonly concurrency: number;
}

export interface CacheAdminDeps {
  readonly store: PolicyStore;
  readonly engine: LookupEngine;
  readonly dane: DaneMemory;
  /** The maps and overrides in force. */
  readonly rules: () => LookupRules;
  /** Whether the engine's memory is that of a daemon, which is worth telling of. */
  readonly isDaemon: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly options: CacheAdminOptions;
}

/**
 * Rows read at once; lookups are answered between two pages. Whoever asks while a page is made waits for it: a fifth of a
 * millisecond.
 */
const PAGE = 5;

/**
 * Milliseconds between two pages of a daemon: 200,000 rows take less than a minute. As fast as can be they would take a core for
 * some seconds, and so would whoever reads them.
 */
const PAUSE = 1;

/** Lists and changes rows of the store, and has the engine drop from memory what changed. */
export class StoreCacheAdmin implements CacheAdmin {
  readonly #deps: CacheAdminDeps;

  constructor(deps: CacheAdminDeps) {
    this.#deps = deps;
  }

  async *list({ wouldEnforce, map, ...filter }: CacheFilter): AsyncGenerator<readonly CacheRecord[]> {
    const { store, dane, rules, isDaemon, now } = this.#deps;
    for (const page of storedPages(store, filter, PAGE, now())) {
      const sources = { rules: rules(), dane, store, now: now() };
      const entries = wouldEnforce ? page.filter(heldBackBy(map, sources)) : page;
      yield entries.map(toRecord);
      await (isDaemon ? sleep(PAUSE) : nextTurn());
    }
  }

  async file(): Promise<CacheFile | undefined> {
    const { store, now } = this.#deps;
    const identity = store.identity();
    return identity === undefined ? undefined : { identity, now: now() };
  }

  async show(domain: string): Promise<CacheReport> {
    const { store, engine, dane, rules, isDaemon, now } = this.#deps;
    const held = engine.peek(domain);
    const stored = held === undefined ? store.get(domain) : undefined;
    const state = held ?? (stored && new DomainState(stored));
    const answers = await cacheAnswers(domain, state, rules(), dane, now());
    const sources = {
      state,
      isHeld: isDaemon ? held !== undefined : undefined,
      history: store.history(domain),
      // After the answers, which may have had it looked up.
      lastDane: store.lastDane(domain),
      heldDane: dane.peek(domain),
      override: rules().overrides.find(domain, now()),
      answers,
    };
    return cacheReport(domain, sources, now());
  }

  async refresh(domain: string): Promise<RefreshResult> {
    const { outcome, entry } = await this.#deps.engine.refetch(domain);
    const holdsNothing = entry.pin === undefined && entry.failure === undefined;
    return { domain, ...described(outcome), record: holdsNothing ? null : toRecord(entry) };
  }

  async *refreshAll(): AsyncGenerator<RefreshResult> {
    const { pace, concurrency } = this.#deps.options;
    const running = new Set<Promise<void>>();
    const done: RefreshResult[] = [];
    const faults: unknown[] = [];
    const settle = async (domain: string) => {
      try {
        done.push(await this.refresh(domain));
      } catch (error) {
        faults.push(error);
      }
    };
    for await (const page of this.list({})) {
      for (const { domain, pin } of page) {
        if (pin === null) continue;
        const work = settle(domain).finally(() => running.delete(work));
        running.add(work);
        await sleep(pace);
        if (running.size >= concurrency) await Promise.race(running);
        yield* done.splice(0);
        if (faults.length > 0) throw faults[0];
      }
    }
    await Promise.all(running);
    yield* done;
    if (faults.length > 0) throw faults[0];
  }

  async forget(domain: string): Promise<boolean> {
    const { store, engine } = this.#deps;
    const wasKnown = engine.peek(domain) !== undefined || store.get(domain) !== undefined;
    await store.delete(domain);
    engine.forget(domain);
    return wasKnown;
  }

  import(lines: AsyncIterable<Uint8Array>, options: ImportOptions): AsyncIterable<ImportResult> {
    const { store, engine, now, options: own } = this.#deps;
    const changed = (domain: string) => engine.forget(domain);
    return importRecords(lines, options, { store, changed, now, leastLifetime: own.recheckMin });
  }
}

function described(outcome: ResolutionOutcome): Pick<RefreshResult, "outcome" | "id" | "reason"> {
  const { kind } = outcome;
  switch (outcome.kind) {
    case "fetched":
      return { outcome: kind, id: outcome.pin.recordId, reason: null };
    case "current":
    case "back-off":
      return { outcome: kind, id: outcome.recordId, reason: null };
    case "no-record":
      return { outcome: kind, id: null, reason: outcome.reason };
    case "dns-failure":
      return { outcome: kind, id: null, reason: outcome.error.message };
    case "fetch-failure":
      return { outcome: kind, id: outcome.recordId, reason: outcome.error.message };
  }
}
