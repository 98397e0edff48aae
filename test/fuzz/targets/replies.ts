/** A policy from afar, in the words of both protocols: nothing in it may mean anything to Postfix but its MX patterns. */
import { postfixReply } from "../../../src/policy/postfix-reply.ts";
import type { AppliedPolicy } from "../../../src/policy/verdict.ts";
import { encodeSocketmapReply } from "../../../src/server/socketmap.ts";
import { encodeTcpTableReply } from "../../../src/server/tcp-table.ts";
import { checkReply, checkSocketmapReply, checkTcpTableReply } from "../../helpers/postfix-grammar.ts";
import { rule } from "../target.ts";

const MAPS = [
  ["3.4", "3.7"],
  ["3.10", "3.11"],
] as const;
const STRATEGIES = new Set(["hostname", "nexthop", "dot-nexthop"]);

/** Throws unless what Postfix is told of `policy` is well-formed and names its MX patterns, and no others. */
export function checkReplies(policy: AppliedPolicy): void {
  const usable = [...new Set(policy.mx)].filter((pattern) => !STRATEGIES.has(pattern));
  const match = usable.map((pattern) => pattern.replace(/^\*/, ""));
  for (const [attributes, version] of MAPS) {
    const reply = postfixReply({ kind: "secure", policy }, attributes);
    const checked = checkReply(reply, attributes);
    rule(checked.status !== "NOTFOUND", "an enforce policy is no policy");
    rule(
      checked.status === "OK" || usable.length === 0 || policy.text.length > 60_000,
      "deferred for no reason",
    );
    if (checked.status === "OK")
      rule(checked.policy.match.join(":") === match.join(":"), "match= is not the policy's MX");

    const octets = encodeSocketmapReply(reply);
    const [head = ""] = /^[0-9]+:/.exec(octets) ?? [];
    const payload = Buffer.from(octets.slice(head.length, -1), "latin1");
    rule(head === `${payload.length}:` && octets.endsWith(","), "no netstring");
    rule(checkSocketmapReply(payload, version).status === checked.status, "socketmap says something else");
    // Only the lines of the policy itself, which 3.10 passes on in reports, may be more than ASCII.
    rule(attributes === "3.10" || /^[ -~]*$/.test(octets), "more than ASCII for 3.4");

    const line = encodeTcpTableReply(reply);
    rule(/^[!-~]+ [!-~]+\n$/.test(line), "a tcp_table line of more than one word");
    const { status } = checkTcpTableReply(line.slice(0, -1), version);
    rule(status === checked.status || status === "TEMP", "tcp_table says something else");
  }
}
