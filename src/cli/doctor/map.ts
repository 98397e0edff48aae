/** Whether the map that Postfix asks for suits its version. */
import type { Config } from "../../config.ts";
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { FALLBACK_MAP } from "./own-table.ts";
import type { OwnTable } from "./own-table.ts";
import { mendMap } from "./policy-table.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { isAtLeast, mapFor } from "./postfix-version.ts";

export function judgeMap(facts: PostfixFacts, own: OwnTable | undefined, maps: Config["maps"]): Finding {
  if (own === undefined) return skipped("map", "Postfix does not ask this daemon");
  const { version } = facts;
  const { map, profile } = own;
  const isNew = isAtLeast(version, 3, 10);
  if (!Object.hasOwn(maps, map)) {
    const text = `the configuration has no map ${map}: it is answered as ${FALLBACK_MAP}`;
    return warning("map", text, mendMap(facts, own.table, mapFor(version)));
  }
  if (profile.attributes === "3.10" && !isNew) {
    const text = `${map} sends attributes that Postfix ${version} refuses: it defers all mail to domains with a policy`;
    return problem("map", text, mend(facts, own));
  }
  if (profile.attributes === "3.4" && isNew) {
    const text = `${map} leaves out what Postfix ${version} needs to skip MX hosts that no pattern allows, and for TLSRPT`;
    return warning("map", text, mend(facts, own));
  }
  return ok("map", `${map}: attributes of ${profile.attributes}, dane: ${profile.dane}`);
}

/** Each built-in map, and the one that is the same but for its attributes. */
const COUNTERPARTS: Readonly<Record<string, string>> = {
  postfix: "postfix310",
  postfix310: "postfix",
  QUERY: "QUERYwithTLSRPT",
  QUERYwithTLSRPT: "QUERY",
};

function mend(facts: PostfixFacts, { map, profile, server, table }: OwnTable): string[] {
  const counterpart = Object.hasOwn(COUNTERPARTS, map) ? COUNTERPARTS[map] : undefined;
  if (counterpart !== undefined && server.map !== undefined) return mendMap(facts, table, counterpart);
  if (counterpart !== undefined)
    return [`# stsmapd.yaml: give the listener map: ${counterpart}`, "systemctl restart stsmapd"];
  const attributes = profile.attributes === "3.10" ? "3.4" : "3.10";
  return [`# stsmapd.yaml: maps: { ${map}: { attributes: "${attributes}" } }`, "systemctl reload stsmapd"];
}
