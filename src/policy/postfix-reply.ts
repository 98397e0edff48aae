/** A verdict in the words of Postfix's smtp_tls_policy_maps. */
import type { MapProfile } from "./map-profile.ts";
import { policyLines } from "./policy.ts";
import { MAX_REPLY_TEXT, NOT_FOUND, temporaryFailure } from "./reply.ts";
import type { Reply } from "./reply.ts";
import type { AppliedPolicy, Verdict } from "./verdict.ts";
import { trimEndWsp } from "./whitespace.ts";

/** In `match=` these are strategies ("whatever MX the DNS named") and not names: text from afar must never become one. */
const MATCH_STRATEGIES = new Set(["hostname", "nexthop", "dot-nexthop"]);

/** What can stand in `{ policy_string = … }`: Postfix's grammar has no way to write braces or control characters. */
const CARRIABLE_LINE = /^[^{}\0-\x1f\x7f-\x9f]+$/;

const NOT_FOUND_HELD_BACK: Reply = { status: "NOTFOUND", isHeldBack: true };
const DANE_HELD_BACK: Reply = { status: "OK", text: "dane", shortText: "dane", isHeldBack: true };

/** The reply that states `verdict` with the attributes the asking Postfix understands. */
export function postfixReply(verdict: Verdict, attributes: MapProfile["attributes"]): Reply {
  switch (verdict.kind) {
    case "secure":
      return secureReply(verdict.policy, attributes);
    case "held-back":
      return verdict.instead === "dane" ? DANE_HELD_BACK : NOT_FOUND_HELD_BACK;
    case "dane":
      return { status: "OK", text: verdict.level, shortText: verdict.level };
    case "not-found":
      return NOT_FOUND;
    case "defer":
      return temporaryFailure(verdict.reason);
  }
}

function secureReply(policy: AppliedPolicy, attributes: MapProfile["attributes"]): Reply {
  const patterns = [...new Set(policy.mx)].filter((pattern) => !MATCH_STRATEGIES.has(pattern));
  // An empty match= would make the whole reply invalid, and a policy without a usable pattern allows no MX host.
  if (patterns.length === 0)
    return temporaryFailure(`MTA-STS policy of ${policy.domain} names no usable MX pattern`);
  const base = ["secure", `match=${patterns.map(matchEntry).join(":")}`, "servername=hostname"];
  if (attributes === "3.4") return okReply(policy, base, base);
  const sts = [...base, "policy_type=sts", `policy_domain=${policy.domain}`];
  const strings = policyStrings(policy.text).map((line) => `{ policy_string = ${line} }`);
  const hostPatterns = patterns.map((pattern) => `mx_host_pattern=${pattern}`);
  return okReply(policy, [...sts, ...strings, ...hostPatterns], [...sts, ...hostPatterns]);
}

/** Never cuts: half a policy would be another policy. */
function okReply(policy: AppliedPolicy, tokens: readonly string[], shortTokens: readonly string[]): Reply {
  const text = tokens.join(" ");
  const shortText = shortTokens === tokens ? text : shortTokens.join(" ");
  if (Buffer.byteLength(text) <= MAX_REPLY_TEXT) return { status: "OK", text, shortText };
  if (Buffer.byteLength(shortText) <= MAX_REPLY_TEXT) return { status: "OK", text: shortText, shortText };
  return temporaryFailure(
    `MTA-STS policy of ${policy.domain} is too long for Postfix (${policy.mx.length} MX patterns)`,
  );
}

/** Postfix writes "any subdomain" with a leading dot. It allows any depth; 3.10.5 and later narrow it by mx_host_pattern. */
function matchEntry(pattern: string): string {
  return pattern.startsWith("*.") ? pattern.slice(1) : pattern;
}

/** The lines of a policy file that Postfix can be told, and which it passes on in its TLS reports. */
export function policyStrings(text: string): string[] {
  return policyLines(text)
    .map(trimEndWsp)
    .filter((line) => CARRIABLE_LINE.test(line));
}
