/** Whether Node took what was compiled before, from what it says with NODE_DEBUG_NATIVE=COMPILE_CACHE. */

export const COMPILE_CACHE_DEBUG = "NODE_DEBUG_NATIVE=COMPILE_CACHE";

export interface CompileCacheUse {
  /** Files that were not compiled, without their folders. */
  readonly accepted: readonly string[];
  /** Files for which there was nothing in the cache, or nothing that fits. */
  readonly compiled: readonly string[];
}

export function compileCacheUse(debugOutput: string): CompileCacheUse {
  const files = (outcome: string) =>
    Array.from(
      debugOutput.matchAll(
        new RegExp(`^\\[compile cache\\] V8 code cache for .*/(\\S+) was ${outcome}`, "gm"),
      ),
      ([, file = ""]) => file,
    );
  return { accepted: files("accepted"), compiled: [...files("not initialized"), ...files("rejected")] };
}
