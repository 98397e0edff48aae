/** What memory holds of one domain, with the replies already made from it. */
import type { MapProfile } from "../policy/map-profile.ts";
import type { Reply } from "../policy/reply.ts";
import type { PolicyFinding } from "../policy/verdict.ts";
import type { Entry } from "../store/store.ts";
import { livePin, nextActionAt } from "./freshness.ts";
import type { KnownDane } from "./dane/dane-source.ts";

/** A reply and the time (milliseconds) until which it may be repeated without a further thought. */
export interface PreparedReply {
  /** Compared by identity. */
  readonly profile: MapProfile;
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
  /** When the store was last told that the domain is in use, in milliseconds. */
  touchedAt: number;
  /** One for each map that has asked. A list of its exact length: a Map of one reply takes as much room as all else here. */
  #prepared: readonly PreparedReply[] = [];

  constructor(entry: Entry, unknownBecause?: string) {
    this.entry = entry;
    this.unknownBecause = unknownBecause;
    this.actionAt = nextActionAt(entry);
    this.touchedAt = entry.usedAt;
  }

  /** The reply made for `profile`, if there is one. */
  prepared(profile: MapProfile): PreparedReply | undefined {
    for (const prepared of this.#prepared) if (prepared.profile === profile) return prepared;
    return undefined;
  }

  /** Puts `prepared` in the place of what was made for its profile before. */
  prepare(prepared: PreparedReply): void {
    this.#prepared = [...this.#prepared.filter(({ profile }) => profile !== prepared.profile), prepared];
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
