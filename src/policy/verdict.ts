/** From what is known of a domain to what one map says about it. */
import type { MapProfile } from "./map-profile.ts";
import type { PolicyMode } from "./policy.ts";
import { isHeldBack } from "./rollout.ts";

/** What is known of a domain's MTA-STS policy at this moment. */
export type PolicyFinding =
  | { readonly kind: "policy"; readonly policy: AppliedPolicy }
  /** There is no policy to be had: none published, none valid, none that could be fetched. */
  | { readonly kind: "absent" }
  /** DNS could not be asked and nothing is cached. */
  | { readonly kind: "unknown"; readonly domain: string; readonly reason: string };

/** An unexpired policy with the domain it belongs to. */
export interface AppliedPolicy {
  readonly domain: string;
  readonly mode: PolicyMode;
  readonly mx: readonly string[];
  /** The file as served. */
  readonly text: string;
}

/** What is known of the DANE state of a domain's MX hosts (RFC 7672). */
export type DaneState =
  | { readonly kind: KnownDaneKind }
  | {
      readonly kind: "unknown";
      readonly reason: string;
      /** What was known before DNS failed. */
      readonly lastKnown?: KnownDaneKind;
    };

/**
 * - `none`: no MX host has usable TLSA records, or DANE is not looked for.
 * - `some`: the MX set is secure, and some of its hosts have them.
 * - `all`: the MX set is secure, and every usable host has them.
 * - `insecure-mx`: hosts have them, but whoever forges the MX set chose these hosts.
 */
export type KnownDaneKind = "none" | "some" | "all" | "insecure-mx";

export type Verdict =
  | { readonly kind: "secure"; readonly policy: AppliedPolicy }
  /** The map would enforce the policy, were its rollout further on. `instead` is what it says without a policy. */
  | { readonly kind: "held-back"; readonly policy: AppliedPolicy; readonly instead: "notfound" | "dane" }
  | { readonly kind: "dane"; readonly level: "dane" | "dane-only" }
  | { readonly kind: "not-found"; readonly because: NotFoundReason }
  | { readonly kind: "defer"; readonly reason: string };

export type NotFoundReason =
  | "no-policy"
  | "mode-none"
  | "mode-testing"
  | "dns-failure"
  | "dane"
  | "dane-unknown";

/**
 * Whether the map's answer depends on DANE at all. With `yield` it does only where MTA-STS would be enforced, so that all
 * other domains cost no MX and TLSA queries.
 */
export function needsDane(finding: PolicyFinding, profile: MapProfile): boolean {
  if (profile.dane === "ignore") return false;
  // Also of a domain that is held back: a domain with DANE is not one that enforcement would touch.
  return profile.dane === "dane-only" || enforces(finding, profile);
}

/**
 * RFC 8461 §2: MTA-STS never overrides a failing DANE validation, so DANE decides first, and a state that is unknown is not
 * taken for "no DANE". With `yield`, what was last known stands in while DNS cannot be asked, so that an outage of DNS does
 * not lift the enforcement of a cached policy; `dane-only` promises more and defers.
 *
 * DANE under an insecure MX set never puts an enforce policy aside: whoever forges the set could name a host of their own
 * with TLSA records of their own, and so switch off just what the policy is there for.
 */
export function verdict(finding: PolicyFinding, dane: DaneState, profile: MapProfile): Verdict {
  if (needsDane(finding, profile)) {
    const byDane =
      profile.dane === "yield" ? yieldToDane(dane) : answerDane(dane, enforces(finding, profile));
    if (byDane !== undefined) return byDane;
  }
  switch (finding.kind) {
    case "policy":
      if (enforces(finding, profile)) return enforced(finding.policy, dane, profile);
      return { kind: "not-found", because: finding.policy.mode === "none" ? "mode-none" : "mode-testing" };
    case "absent":
      return { kind: "not-found", because: "no-policy" };
    case "unknown":
      // A policy that would not be enforced is no reason to defer.
      if (profile.dnsFailure === "defer" && !isHeldBack(finding.domain, profile.rollout))
        return { kind: "defer", reason: finding.reason };
      return { kind: "not-found", because: "dns-failure" };
  }
}

function enforced(policy: AppliedPolicy, dane: DaneState, { dane: ofDane, rollout }: MapProfile): Verdict {
  if (!isHeldBack(policy.domain, rollout)) return { kind: "secure", policy };
  // Where no policy is enforced, DANE under an insecure MX set is better than nothing.
  const isBetterThanNothing = ofDane === "dane-only" && dane.kind === "insecure-mx";
  return { kind: "held-back", policy, instead: isBetterThanNothing ? "dane" : "notfound" };
}

function yieldToDane(dane: DaneState): Verdict | undefined {
  const kind = dane.kind === "unknown" ? dane.lastKnown : dane.kind;
  if (kind === "none" || kind === "insecure-mx") return undefined;
  return { kind: "not-found", because: kind === undefined ? "dane-unknown" : "dane" };
}

function answerDane(dane: DaneState, isEnforcing: boolean): Verdict | undefined {
  switch (dane.kind) {
    case "none":
      return undefined;
    case "insecure-mx":
      return isEnforcing ? undefined : { kind: "dane", level: "dane" };
    case "some":
      return { kind: "dane", level: "dane" };
    case "all":
      return { kind: "dane", level: "dane-only" };
    case "unknown":
      return { kind: "defer", reason: dane.reason };
  }
}

/** Whether the map enforces such a policy, once its rollout has come to the domain. */
function enforces(finding: PolicyFinding, profile: MapProfile): boolean {
  if (finding.kind !== "policy") return false;
  const { mode } = finding.policy;
  return mode === "enforce" || (mode === "testing" && profile.testing === "enforce");
}
