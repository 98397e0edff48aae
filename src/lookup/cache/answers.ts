/** What each map is answered about a domain right now, and why. Asks DANE where the answer depends on it, and nothing else. */
import type { MapProfile } from "../../policy/map-profile.ts";
import { overrideReply } from "../../policy/override.ts";
import { postfixReply } from "../../policy/postfix-reply.ts";
import { replyText } from "../../policy/reply.ts";
import { needsDane, verdict } from "../../policy/verdict.ts";
import type { Verdict } from "../../policy/verdict.ts";
import type { AnswerReason, CacheAnswer } from "./cache-admin.ts";
import { DANE_NOT_ASKED } from "../dane/dane-source.ts";
import type { DaneSource } from "../dane/dane-source.ts";
import type { DomainState } from "../domain-state.ts";
import type { LookupRules } from "../maps.ts";

/**
 * @param state what is known of `domain`; undefined: nothing
 * @param now milliseconds since 1970
 */
export async function cacheAnswers(
  domain: string,
  state: DomainState | undefined,
  { maps, overrides }: LookupRules,
  dane: DaneSource,
  now: number,
): Promise<CacheAnswer[]> {
  const override = overrides.find(domain, now);
  return Promise.all(
    Array.from(maps, async ([map, profile]) => {
      if (override !== undefined)
        return { map, answer: replyText(overrideReply(override, domain, profile)), because: "override" };
      if (state === undefined || !state.isAnswerable(now)) return { map, answer: null, because: "not-known" };
      const decided = await decide(domain, state, profile, dane, now);
      return {
        map,
        answer: replyText(postfixReply(decided, profile.attributes)),
        because: reasonOf(decided),
      };
    }),
  );
}

async function decide(
  domain: string,
  state: DomainState,
  profile: MapProfile,
  dane: DaneSource,
  now: number,
): Promise<Verdict> {
  const finding = state.finding(now);
  const prepared = state.prepared(profile);
  // What the answer in force was made of comes first: it is repeated as long as it holds.
  if (prepared !== undefined && now < prepared.until) return verdict(finding, prepared.dane.state, profile);
  const known = needsDane(finding, profile)
    ? await dane.find(domain, profile.dane === "yield")
    : DANE_NOT_ASKED;
  return verdict(finding, known.state, profile);
}

function reasonOf(decided: Verdict): AnswerReason {
  switch (decided.kind) {
    case "secure":
      return "policy";
    case "held-back":
      return "would-enforce";
    case "dane":
      return "dane-level";
    case "defer":
      return "deferred";
    case "not-found":
      return decided.because;
  }
}
