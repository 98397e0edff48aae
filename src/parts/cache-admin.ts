/** Constructs what the cache commands ask. */
import type { Config } from "../config.ts";
import type { CacheAdmin } from "../lookup/cache/cache-admin.ts";
import { StoreCacheAdmin } from "../lookup/cache/store-cache-admin.ts";
import type { CacheAdminDeps } from "../lookup/cache/store-cache-admin.ts";
import { renewalsAtOnce } from "./background.ts";

/** Milliseconds: fifty a second, the fastest that the refresher goes by itself. Who asks for all of them waits for the end. */
const REFRESH_ALL_PACE = 20;

/** The cache commands. */
export function createCacheAdmin(config: Config, parts: Omit<CacheAdminDeps, "options">): CacheAdmin {
  const { recheckMin } = config.freshness;
  const options = { pace: REFRESH_ALL_PACE, concurrency: renewalsAtOnce(config), recheckMin };
  return new StoreCacheAdmin({ ...parts, options });
}
