/** What memory holds of one domain, with the replies already made from it. */
import type { MapProfile } from "../policy/map-profile.ts";
import type { Reply } from "../policy/reply.ts";
import type { PolicyFinding } from "../policy/verdict.ts";
import type { Entry } from "../store/store.ts";
import { livePin, nextActionAt } from "./freshness.ts";
import type { KnownDane } from "./dane/dane-source.ts";

/** A reply and the time (milliseconds) until which it may be repeated without a further thought. */
export interface PreparedReply {
  readonly reply: Reply;
  readonly until: number;
  readonly dane: KnownDane;
}

export class DomainState {
  readonly entry: Entry;
  /** Why it is not known whether there is a policy: DNS could not be asked, or we had too much to do. */
  readonly unknownBecause: string | undefined;
  /** When something is next to be done for the domain, in milliseconds. */
  readonly actionAt: number;
  readonly prepared = new Map<MapProfile, PreparedReply>();
  /** When the store was last told that the domain is in use, in milliseconds. */
  touchedAt: number;

  constructor(entry: Entry, unknownBecause?: string) {
    this.entry = entry;
    this.unknownBecause = unknownBecause;
    this.actionAt = nextActionAt(entry);
    this.touchedAt = entry.usedAt;
  }

  /** What is known of the policy at `now`. */
  finding(now: number): PolicyFinding {
    const pin = livePin(this.entry, now);
    if (pin !== undefined) return { kind: "policy", policy: { domain: this.entry.domain, ...pin } };
    if (this.unknownBecause === undefined) return { kind: "absent" };
    return { kind: "unknown", domain: this.entry.domain, reason: this.unknownBecause };
  }

  /**
   * Whether it may be answered from at `now` although something is due: always with a live pin, which never waits, and while
   * the only thing due is another try of a fetch that failed, since that is not likely to end otherwise.
   */
  isAnswerable(now: number): boolean {
    if (now < this.actionAt || livePin(this.entry, now) !== undefined) return true;
    return this.entry.failure !== undefined && now < this.entry.checkAt;
  }
}
