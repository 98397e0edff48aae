/** What memory holds of one domain, with the replies already made from it. */
import type { MapProfile } from "../policy/map-profile.ts";
import type { Reply } from "../policy/reply.ts";
import type { PolicyFinding } from "../policy/verdict.ts";
import type { Entry } from "../store/store.ts";
import { nextActionAt } from "./freshness.ts";
import type { KnownDane } from "./dane/dane-source.ts";
import { packEntry, unpackEntry } from "./packed-entry.ts";

/** A reply and the time (milliseconds) until which it may be repeated without a further thought. */
export interface PreparedReply {
  /** Compared by identity. */
  readonly profile: MapProfile;
  readonly reply: Reply;
  readonly until: number;
  readonly dane: KnownDane;
}

/** Of every domain but those that several maps are asked about. */
const NO_OTHERS: readonly PreparedReply[] = [];

/** There is one for each domain in memory, so it is small: what is rarely wanted of its entry is packed. */
export class DomainState {
  readonly domain: string;
  /** Why it is not known whether there is a policy: DNS could not be asked, or we had too much to do. */
  readonly unknownBecause: string | undefined;
  /** When something is next to be done for the domain, in milliseconds. */
  readonly actionAt: number;
  /** When the store was last told that the domain is in use, in milliseconds. */
  touchedAt: number;
  readonly #packed: string;
  /** When the pin ends, in milliseconds; undefined where there is none. */
  readonly #pinUntil: number | undefined;
  /** Until when, in milliseconds, a failed fetch is all that there is to say. */
  readonly #failedUntil: number | undefined;
  /** One for each map that has asked; `#last` is that of the latest. */
  #last: PreparedReply | undefined;
  #others = NO_OTHERS;

  constructor(entry: Entry, unknownBecause?: string) {
    this.domain = entry.domain;
    this.unknownBecause = unknownBecause;
    this.actionAt = nextActionAt(entry);
    this.touchedAt = entry.usedAt;
    this.#packed = packEntry(entry);
    this.#pinUntil = entry.pin?.expiresAt;
    this.#failedUntil = entry.failure && entry.checkAt;
  }

  /** Made anew each time. */
  get entry(): Entry {
    return unpackEntry(this.#packed);
  }

  /** Also where it has expired. */
  get hasPin(): boolean {
    return this.#pinUntil !== undefined;
  }

  /** Whether there is a pin that holds at `now`. */
  isPinned(now: number): boolean {
    return this.#pinUntil !== undefined && now < this.#pinUntil;
  }

  /** The reply made for `profile`, if there is one. */
  prepared(profile: MapProfile): PreparedReply | undefined {
    if (this.#last?.profile === profile) return this.#last;
    for (const prepared of this.#others) if (prepared.profile === profile) return prepared;
    return undefined;
  }

  /** Puts `prepared` in the place of what was made for its profile before. */
  prepare(prepared: PreparedReply): void {
    const before = this.#last;
    this.#last = prepared;
    if (before === undefined || before.profile === prepared.profile) return;
    this.#others = [before, ...this.#others.filter(({ profile }) => profile !== prepared.profile)];
  }

  /** What is known of the policy at `now`. */
  finding(now: number): PolicyFinding {
    const pin = this.isPinned(now) ? this.entry.pin : undefined;
    if (pin !== undefined) return { kind: "policy", policy: { domain: this.domain, ...pin } };
    if (this.unknownBecause === undefined) return { kind: "absent" };
    return { kind: "unknown", domain: this.domain, reason: this.unknownBecause };
  }

  /**
   * Whether it may be answered from at `now` although something is due: always with a live pin, which never waits, and while
   * the only thing due is another try of a fetch that failed, since that is not likely to end otherwise.
   */
  isAnswerable(now: number): boolean {
    if (now < this.actionAt || this.isPinned(now)) return true;
    return this.#failedUntil !== undefined && now < this.#failedUntil;
  }
}
