/** Whether a policy that is held is one that the rollout of a map holds back. Nothing is asked: what is known has to do. */
import type { MapProfile } from "../../policy/map-profile.ts";
import { verdict } from "../../policy/verdict.ts";
import type { DaneState } from "../../policy/verdict.ts";
import type { Entry, PolicyStore } from "../../store/store.ts";
import type { DaneMemory } from "../dane/dane-source.ts";
import { livePin } from "../freshness.ts";
import type { LookupRules } from "../maps.ts";
import { profileOf } from "../maps.ts";

export interface WouldEnforceSources {
  readonly rules: LookupRules;
  readonly dane: Pick<DaneMemory, "peek">;
  readonly store: Pick<PolicyStore, "lastDane">;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * A test for rows: whether `map`, or any map in force where it is undefined, holds their policies back. A domain with DANE,
 * where that goes first, and one with an override are none of those: enforcement would not touch them.
 */
export function heldBackBy(map: string | undefined, sources: WouldEnforceSources): (entry: Entry) => boolean {
  const { rules, now } = sources;
  const named = map === undefined ? [...rules.maps.values()] : [profileOf(rules.maps, map)];
  const profiles = named.filter(({ rollout }) => rollout < 100);
  return (entry) => {
    const pin = profiles.length === 0 ? undefined : livePin(entry, now);
    if (pin === undefined || rules.overrides.find(entry.domain, now) !== undefined) return false;
    const finding = { kind: "policy", policy: { domain: entry.domain, ...pin } } as const;
    const isHeldBack = (dane: DaneState, profile: MapProfile) =>
      verdict(finding, dane, profile).kind === "held-back";
    // Most rows are told apart without a look at DANE.
    const candidates = profiles.filter((profile) => isHeldBack({ kind: "none" }, profile));
    return candidates.some((profile) => isHeldBack(lastDane(entry.domain, sources), profile));
  };
}

/** A domain of which nothing is known is taken to have none, as most. */
function lastDane(domain: string, { dane, store }: WouldEnforceSources): DaneState {
  return dane.peek(domain)?.state ?? { kind: store.lastDane(domain) ?? "none" };
}
