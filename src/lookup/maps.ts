/** From Postfix's question, a map name and a next hop, to the engine's. */
import { policyDomain } from "../policy/domain.ts";
import type { MapProfile } from "../policy/map-profile.ts";
import { NOT_FOUND } from "../policy/reply.ts";
import type { LookupEngine } from "./engine.ts";
import type { LookupService } from "./lookup-service.ts";

/** The profile of a map name that is not configured. */
export const DEFAULT_MAP = "postfix";

/** Profiles by map name; {@link DEFAULT_MAP} is always among them. */
export type MapProfiles = ReadonlyMap<string, MapProfile>;

export function profileOf(maps: MapProfiles, name: string): MapProfile {
  const profile = maps.get(name) ?? maps.get(DEFAULT_MAP);
  if (profile === undefined) throw new TypeError(`no profile for the map ${DEFAULT_MAP}`);
  return profile;
}

/** Answers for all maps. What is no domain is NOTFOUND at once and costs no DNS. */
export function createLookupService(engine: LookupEngine, maps: MapProfiles): LookupService {
  return {
    lookup(map, key) {
      const domain = policyDomain(key);
      return domain === undefined ? NOT_FOUND : engine.lookup(domain, profileOf(maps, map));
    },
  };
}
