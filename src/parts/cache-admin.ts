/** Constructs what the cache commands ask. */
import type { Config } from "../config.ts";
import type { CacheAdmin } from "../lookup/cache/cache-admin.ts";
import { StoreCacheAdmin } from "../lookup/cache/store-cache-admin.ts";
import type { CacheAdminDeps } from "../lookup/cache/store-cache-admin.ts";
import { RENEWAL_PACE, renewalsAtOnce } from "./background.ts";

/** The cache commands; `refreshAll` keeps the pace of the refresher. */
export function createCacheAdmin(config: Config, parts: Omit<CacheAdminDeps, "options">): CacheAdmin {
  const { recheckMin } = config.freshness;
  const options = { pace: RENEWAL_PACE, concurrency: renewalsAtOnce(config), recheckMin };
  return new StoreCacheAdmin({ ...parts, options });
}
