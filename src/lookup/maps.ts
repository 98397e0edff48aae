/** From Postfix's question, a map name and a next hop, to the engine's. */
import { isDeepStrictEqual } from "node:util";
import type { MapProfile } from "../policy/map-profile.ts";
import { overrideReply } from "../policy/override.ts";
import { NOT_FOUND } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";
import type { Stop } from "./deadline.ts";
import type { LookupEngine } from "./engine.ts";
import type { LookupService } from "./lookup-service.ts";
import type { Overrides } from "./overrides.ts";
import type { Question } from "./question.ts";

/** Milliseconds for which a question holds its answer: short beside the minute to which use is noted, long beside a lookup. */
const HOLD_TIME = 1_000;

/** The profile of a map name that is not configured. */
const DEFAULT_MAP = "postfix";

/** Of a lookup whose answer nobody hears: only the policy is of interest. */
const SILENT: MapProfile = {
  attributes: "3.4",
  dane: "ignore",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout: 100,
};

/** Profiles by map name; {@link DEFAULT_MAP} is always among them. */
export type MapProfiles = ReadonlyMap<string, MapProfile>;

/** What the administrator decides, and may change while the daemon runs. */
export interface LookupRules {
  readonly maps: MapProfiles;
  readonly overrides: Overrides;
}

export class MapLookup implements LookupService {
  readonly #engine: LookupEngine;
  readonly #now: () => number;
  #rules: LookupRules;
  #rulesChanged = 0;

  /** @param now milliseconds since 1970 */
  constructor(engine: LookupEngine, rules: LookupRules, now: () => number) {
    this.#engine = engine;
    this.#rules = rules;
    this.#now = now;
  }

  /** The rules in force. */
  get rules(): LookupRules {
    return this.#rules;
  }

  /** The rules from the next question on. */
  use({ maps, overrides }: LookupRules): void {
    this.#rules = { maps: keepingSame(this.#rules.maps, maps), overrides };
    this.#rulesChanged += 1;
  }

  /** What is no domain is NOTFOUND at once and costs no DNS; an override goes before cache and DANE. */
  lookup(question: Question, client?: Stop): Reply | Promise<Reply> {
    const { map, domain } = question;
    if (domain === undefined) return NOT_FOUND;
    const now = this.#now();
    const held = question.held(now, this.#changes);
    if (held !== undefined) return held;
    const profile = profileOf(this.#rules.maps, map);
    const override = this.#rules.overrides.apply(domain, now);
    if (override === undefined) {
      const reply = this.#engine.lookup(domain, profile, client);
      if (!(reply instanceof Promise)) this.#hold(question, reply, domain, profile);
      return reply;
    }
    // Such a policy is followed as if it were in mode testing, so that it is there when the override ends.
    if (override.action.kind === "testing") void this.#engine.lookup(domain, SILENT, client);
    // And so that a pin is renewed for as long as an override lasts, it counts as used.
    else this.#engine.noteUse(domain);
    return overrideReply(override, domain, profile);
  }

  /** A number that is another whenever an answer that was given may not be repeated. */
  get #changes(): number {
    return this.#engine.changes + this.#rulesChanged;
  }

  #hold(question: Question, reply: Reply, domain: string, profile: MapProfile): void {
    const until = Math.min(this.#now() + HOLD_TIME, this.#engine.repeatableUntil(domain, profile));
    question.hold(reply, until, this.#changes);
  }
}

/** `next`, with the very profiles of `before` where they are equal: memory finds replies by them, and would keep both. */
function keepingSame(before: MapProfiles, next: MapProfiles): MapProfiles {
  return new Map(
    Array.from(next, ([name, profile]) => {
      const known = before.get(name);
      return [name, known !== undefined && isDeepStrictEqual(known, profile) ? known : profile];
    }),
  );
}

/** The profile that a map of this name is answered by. */
export function profileOf(maps: MapProfiles, name: string): MapProfile {
  const profile = maps.get(name) ?? maps.get(DEFAULT_MAP);
  if (profile === undefined) throw new TypeError(`no profile for the map ${DEFAULT_MAP}`);
  return profile;
}
