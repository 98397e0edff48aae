import { StoreCacheAdmin } from "../../src/lookup/cache/store-cache-admin.ts";
import { LookupEngine } from "../../src/lookup/engine.ts";
import { lookupRules } from "../../src/parts/lookup.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { T0 } from "../store/entries.ts";
import { MINUTE } from "./clock.ts";
import { fixedDane } from "./dane-source.ts";
import { DEFAULTS } from "./world.ts";

function refuse(): never {
  throw new TypeError("nothing should be asked");
}

/** Over a store alone, at {@link T0}: whoever asks the network is thrown at. */
export function bareAdmin(store: PolicyStore, config = DEFAULTS): StoreCacheAdmin {
  const dane = fixedDane({ kind: "none" });
  const engine = new LookupEngine({
    resolver: { resolve: refuse },
    fetcher: { fetch: refuse },
    store,
    dane,
    events: {
      resolved: refuse,
      deadlinePassed: refuse,
      turnedAway: refuse,
      heldBack: refuse,
      storeFailed: refuse,
      failed: refuse,
    },
    freshness: DEFAULTS.freshness,
    options: { ...DEFAULTS.store, ...DEFAULTS.lookup, commitTimeout: 5_000, mostWaiting: 50_000 },
    now: () => T0,
    random: () => 0.5,
  });
  const rules = lookupRules(config, undefined);
  const options = { recheckMin: MINUTE, pace: 1, concurrency: 4 };
  return new StoreCacheAdmin({
    store,
    engine,
    dane,
    rules: () => rules,
    isDaemon: true,
    now: () => T0,
    options,
  });
}
