/** The lookup layer as daemon.ts puts it together, on a simulated network and disk. */
import { LookupEngine } from "../../../src/lookup/engine.ts";
import { NO_DANE } from "../../../src/lookup/dane/dane-source.ts";
import type { LookupEvents } from "../../../src/lookup/events.ts";
import { runRefresher } from "../../../src/lookup/refresher.ts";
import type { PolicyFetcher } from "../../../src/net/policy-host/policy-fetcher.ts";
import type { Resolver } from "../../../src/net/dns/resolver.ts";
import { RetryingStore } from "../../../src/store/retrying-store.ts";
import type { PolicyStore } from "../../../src/store/store.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../helpers/clock.ts";
import { DEFAULTS } from "../../helpers/world.ts";

export interface ProcessDeps {
  readonly store: PolicyStore;
  readonly resolver: Resolver;
  readonly fetcher: PolicyFetcher;
  readonly now: () => number;
  readonly random: () => number;
  /** The process says that it could not write the row in time. */
  readonly onUnwritten: (domain: string) => void;
  /** A fault of the code itself. */
  readonly onFault: (domain: string, error: unknown) => void;
}

const REFRESHER = {
  unusedAfter: 5 * DAY,
  fastestPace: 20,
  slowestPace: 2_000,
  lookInterval: 10 * SECOND,
  concurrency: 2,
  shortestSleep: SECOND,
  longestSleep: 5 * MINUTE,
  countInterval: 5 * MINUTE,
  unwrittenRest: 5 * MINUTE,
  tidyInterval: HOUR,
  keepSpent: DAY,
};

/** So few that domains wait for their turn. */
const RESOLUTIONS = 4;

/** Less than there are domains, so that rows are read again. */
const MEMORY_ENTRIES = 12;

export class LookupProcess {
  readonly engine: LookupEngine;
  readonly store: PolicyStore;
  isStopping = false;
  readonly #now: () => number;
  readonly #stop = new AbortController();
  readonly #refresher: Promise<void>;

  constructor({ onFault, onUnwritten, store, ...deps }: ProcessDeps) {
    const events: LookupEvents = {
      resolved: () => {},
      deadlinePassed: () => {},
      turnedAway: () => {},
      heldBack: () => {},
      storeFailed: (operation, domain) => {
        if (operation === "write" && domain !== undefined) onUnwritten(domain);
      },
      failed: onFault,
    };
    this.#now = deps.now;
    this.store = new RetryingStore(store);
    this.engine = new LookupEngine({
      ...deps,
      events,
      store: this.store,
      dane: NO_DANE,
      freshness: DEFAULTS.freshness,
      options: {
        ...DEFAULTS.lookup,
        concurrency: RESOLUTIONS,
        memoryEntries: MEMORY_ENTRIES,
        commitTimeout: 5 * SECOND,
        mostWaiting: 50_000,
      },
    });
    const refresh = (domain: string): Promise<void> => this.engine.renew(domain);
    const { now } = deps;
    this.#refresher = runRefresher(
      { store: this.store, refresh, events, now, options: REFRESHER },
      this.#stop.signal,
    );
  }

  /** As parts/background.ts does when the clock was stepped. */
  async clockStepped(): Promise<void> {
    this.engine.rebase(this.#now());
    // Where the disk fails, the refresher tries again within the hour.
    await this.store.rebase(this.#now()).catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    this.#stop.abort();
    this.engine.stop();
    await this.#refresher;
    await this.store.close();
  }
}
