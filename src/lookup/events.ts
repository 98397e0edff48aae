/** What the lookup engine reports. One call an event; logs and metrics are made of them elsewhere. */
import type { DnsError } from "../net/dns/resolver.ts";
import type { FetchError, FetchTrace } from "../net/policy-host/policy-fetcher.ts";
import type { MapProfile } from "../policy/map-profile.ts";
import type { Entry, Pin, StoreError } from "../store/store.ts";

/** What made us resolve: a client that waits, a cached record whose TTL passed, the refresher, or the administrator. */
export type ResolutionTrigger = "query" | "recheck" | "renewal" | "command";

export type ResolutionOutcome =
  /** A policy came over HTTPS. */
  | { readonly kind: "fetched"; readonly pin: Pin; readonly trace: FetchTrace }
  /** The record has the id we hold. */
  | { readonly kind: "current"; readonly recordId: string }
  /** There is no record, or none that is valid. */
  | { readonly kind: "no-record"; readonly reason: string; readonly isInvalid: boolean }
  | { readonly kind: "dns-failure"; readonly error: DnsError }
  | { readonly kind: "fetch-failure"; readonly recordId: string; readonly error: FetchError }
  /** A fetch for this id failed a short while ago and is not tried again yet. */
  | { readonly kind: "back-off"; readonly recordId: string };

export interface Resolution {
  readonly domain: string;
  readonly trigger: ResolutionTrigger;
  readonly outcome: ResolutionOutcome;
  /** What is held of the domain afterwards; a live pin in it is what Postfix is told. */
  readonly entry: Entry;
  /** The live pin afterwards, if any. */
  readonly pin: Pin | undefined;
  readonly durationMs: number;
}

export interface LookupEvents {
  resolved(resolution: Resolution): void;
  /** A client was answered without waiting further; a resolution that has begun goes on. */
  deadlinePassed(domain: string): void;
  /** The same before the deadline: too many questions wait. */
  turnedAway(domain: string): void;
  /** A reply was made that would enforce the policy of `domain`, were the rollout of `profile` further on. */
  heldBack(domain: string, profile: MapProfile): void;
  /** The store failed, on the row of `domain` or altogether; answers go on from memory. */
  storeFailed(operation: "read" | "write", domain: string | undefined, error: StoreError): void;
  /** A fault of our own. The client was answered TEMP. */
  failed(domain: string, error: unknown): void;
}
