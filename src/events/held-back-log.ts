/** Which domains a rollout holds back, for an administrator who looks through a week of the log. */
import { growingCache } from "../lookup/growing-cache.ts";

import type { Logger } from "../log.ts";
import type { MapProfiles } from "../lookup/maps.ts";
import type { MapProfile } from "../policy/map-profile.ts";

/** Milliseconds for which nothing more is said of a domain under a map. */
const INTERVAL = 86_400_000;

/** Domains under maps of which it is remembered that they were logged; beyond, some are logged again before their time. */
const REMEMBERED = 50_000;

/**
 * Logs a domain and a map that holds it back, once a day.
 *
 * @param maps those in force
 * @param now milliseconds since 1970
 */
export function heldBackLog(
  log: Logger,
  maps: () => MapProfiles,
  now: () => number,
): (domain: string, profile: MapProfile) => void {
  const logged = growingCache<number>(REMEMBERED);
  return (domain, profile) => {
    // By identity: a map that a reload has changed meanwhile speaks for itself at the next question.
    const map = Array.from(maps()).find(([, candidate]) => candidate === profile)?.[0];
    if (map === undefined) return;
    const key = `${map} ${domain}`;
    const at = now();
    // In either direction: the clock may have been set back.
    if (Math.abs(at - (logged.get(key) ?? -Infinity)) < INTERVAL) return;
    logged.set(key, at);
    log.info(
      { domain, map, rollout: `${profile.rollout}%`, result: "would_enforce" },
      "held back by the rollout",
    );
  };
}
