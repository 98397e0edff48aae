/** What Postfix does where the map answers "not found": its own security level. */
import type { MapProfile } from "../../policy/map-profile.ts";
import { ok, problem, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { PostfixFacts } from "./postfix-facts.ts";

const DANE = { smtp_tls_security_level: "dane", smtp_dns_support_level: "dnssec" };

const MAY_BE_CLEAR = [
  "# dane lets mail go in the clear to hosts without TLS, which now waits; where that is meant to be so for some, such as a",
  "# relayhost, give them a line of their own first, in a table before the daemon's:",
];

/** Levels at which no mail leaves in the clear. */
const STRICT = new Set(["encrypt", "verify", "secure", "fingerprint", "dane-only"]);

/** The commands that set the level `dane` in the place of `level`. */
function useDane(level: string, commands: PostfixFacts["commands"]): string[] {
  return [...(STRICT.has(level) ? MAY_BE_CLEAR : []), ...commands.set(DANE)];
}

/**
 * docs/dane.md has the reasons.
 *
 * @param dane what the map does with DANE
 */
export function judgeSecurityLevel(
  facts: Pick<PostfixFacts, "parameters" | "commands">,
  dane: MapProfile["dane"],
): Finding {
  const { parameters, commands } = facts;
  const level = effectiveLevel(parameters);
  const mend = useDane(level.value, commands);
  const say = (text: string) => `smtp_tls_security_level is ${level.text}: ${text}`;
  switch (level.value) {
    case "dane":
    case "dane-only":
      return judgeDane(facts, level.value, dane);
    case "may":
    case "none":
    case "encrypt":
      if (dane === "yield")
        return problem(
          "security-level",
          say("mail to domains with DANE is checked by nobody, policy or not"),
          mend,
        );
      if (dane === "dane-only")
        return problem("security-level", say("all mail to domains with DANE is deferred"), mend);
      if (level.value === "none")
        return warning(
          "security-level",
          say("mail to domains without a policy goes in the clear"),
          commands.set({ smtp_tls_security_level: "may" }),
        );
      if (level.value === "encrypt")
        return ok("security-level", say("mail to hosts without TLS waits; the map ignores DANE"));
      return ok("security-level", say("the map ignores DANE, as it has to beside this level"));
    case "verify":
    case "secure":
    case "fingerprint":
      return warning("security-level", say("mail to most domains without a policy is deferred"), mend);
    default:
      return problem("security-level", say("Postfix knows no such level"), mend);
  }
}

function judgeDane(
  { parameters, commands }: Pick<PostfixFacts, "parameters" | "commands">,
  level: "dane" | "dane-only",
  dane: MapProfile["dane"],
): Finding {
  if (parameters["smtp_dns_support_level"] !== "dnssec") {
    const text = `smtp_dns_support_level is not dnssec: beside it the level ${level} checks no DANE`;
    return problem("security-level", text, commands.set({ smtp_dns_support_level: "dnssec" }));
  }
  if (!(parameters["smtp_host_lookup"] ?? "dns").split(/[\s,]+/).includes("dns")) {
    const text = "smtp_host_lookup leaves DNS out: Postfix finds neither MX nor TLSA records";
    return problem("security-level", text, commands.set({ smtp_host_lookup: "dns" }));
  }
  if (level === "dane-only") {
    const text = "dane-only: mail to domains with neither DANE nor a policy is deferred";
    return warning("security-level", text, useDane(level, commands));
  }
  if (dane === "ignore") {
    const text = "the map has dane: ignore, so that a policy goes before DANE, against RFC 8461 §2";
    return warning("security-level", text, [
      "# stsmapd.yaml: set dane: yield for the map in use, then: systemctl reload stsmapd",
    ]);
  }
  return ok("security-level", "dane, with smtp_dns_support_level dnssec");
}

/** Where no level is set the settings of Postfix 2.2 count. */
function effectiveLevel(parameters: Readonly<Record<string, string>>): { value: string; text: string } {
  const level = parameters["smtp_tls_security_level"] ?? "";
  if (level !== "") return { value: level, text: level };
  if (parameters["smtp_enforce_tls"] === "yes")
    return { value: "encrypt", text: "not set, and smtp_enforce_tls is yes" };
  if (parameters["smtp_use_tls"] === "yes") return { value: "may", text: "not set, and smtp_use_tls is yes" };
  return { value: "none", text: "not set" };
}
