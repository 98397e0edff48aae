/** The cache commands on the file itself, for when no daemon runs. */
import type { Config } from "./config.ts";
import type { CacheAdmin } from "./lookup/cache/cache-admin.ts";
import type { LookupEvents } from "./lookup/events.ts";
import { createCacheAdmin } from "./parts/cache-admin.ts";
import { createDaneCache, createEngine, lookupRules } from "./parts/lookup.ts";
import type { Now } from "./parts/lookup.ts";
import { createNetwork } from "./parts/network.ts";
import { openStore } from "./store/open-store.ts";

export interface OpenCache {
  readonly cache: CacheAdmin;
  close(): Promise<void>;
}

/**
 * The file must be there.
 *
 * @param env for the proxy
 * @param events what goes wrong behind the commands
 * @throws {StoreError | ProxyError | TrustedRootsError}
 */
export function openCache(config: Config, env: NodeJS.ProcessEnv, events: LookupEvents, now: Now): OpenCache {
  const stopping = new AbortController();
  const network = createNetwork(config, env, stopping.signal);
  const store = openStore({ path: config.store.path, now, examine: false });
  const dane = createDaneCache(config, network, { mayValidate: true }, store, now);
  const engine = createEngine(config, { ...network, store, dane, events, now });
  const rules = lookupRules(config, undefined);
  return {
    cache: createCacheAdmin(config, { store, engine, dane, rules: () => rules, isDaemon: false, now }),
    close() {
      stopping.abort();
      engine.stop();
      return store.close();
    },
  };
}
