/** What in Postfix decides whether a policy that was asked for is what the mail gets. */
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import type { OwnTable } from "./own-table.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";

/** `smtp_tls_enforce_sts_mx_patterns`, which Postfix has from 3.10.5 on. */
export function judgeMxPatterns(
  { parameters, commands, version }: PostfixFacts,
  own: OwnTable | undefined,
): Finding {
  const setting = parameters["smtp_tls_enforce_sts_mx_patterns"];
  if (own?.profile.attributes !== "3.10")
    return skipped("mx-patterns", "no map with the attributes of 3.10 is asked for");
  if (setting === undefined)
    return ok(
      "mx-patterns",
      `Postfix ${version} verifies names only; from 3.10.5 on it skips MX hosts that no pattern allows`,
    );
  if (setting === "yes")
    return ok("mx-patterns", "MX hosts that no pattern of the policy allows are skipped");
  const text = "smtp_tls_enforce_sts_mx_patterns is no: MX hosts that no pattern allows are not skipped";
  return warning("mx-patterns", text, commands.set({ smtp_tls_enforce_sts_mx_patterns: "yes" }));
}

/** With `smtp_tls_connection_reuse` it is tlsproxy(8) that speaks TLS: TLS_README, "Client-side TLS connection reuse". */
export function judgeConnectionReuse({ parameters, commands, services }: PostfixFacts): Finding {
  if (parameters["smtp_tls_connection_reuse"] !== "yes")
    return ok("connection-reuse", "off: smtp(8) speaks TLS itself");
  const missing = ["tlsproxy", "scache"].filter(
    (name) => !services.some((service) => service.name === `${name}/unix`),
  );
  if (missing.length === 0)
    return ok("connection-reuse", "on: tlsproxy(8) speaks TLS, by the policy smtp(8) asked for");
  const text = `smtp_tls_connection_reuse is yes, but master.cf has no ${missing.join(" and no ")}: no TLS, so all mail that needs it waits`;
  const [line = ""] = smtpClients({ services }).map(({ chroot }) => (chroot ? "y" : "n"));
  const add = missing.map((name) => {
    const rest = name === "scache" ? `- - ${line || "n"} - 1 scache` : `- - ${line || "n"} - 0 tlsproxy`;
    return `'${name}/unix=${name} unix ${rest}'`;
  });
  return problem("connection-reuse", text, commands.edit("-M", ...add));
}

const POLICY_PARAMETERS = new Set([
  "smtp_tls_policy_maps",
  "smtp_tls_security_level",
  "smtp_dns_support_level",
  "smtp_tls_CAfile",
  "smtp_tls_CApath",
  "smtp_tls_enforce_sts_mx_patterns",
  "smtp_tls_connection_reuse",
]);

/** Services that send mail by settings of their own. */
export function judgeOverrides(facts: PostfixFacts): Finding {
  const clients = new Set(smtpClients(facts).map(({ name }) => name));
  const differing = facts.overrides.filter(
    ({ service, parameter, value }) =>
      clients.has(service) && POLICY_PARAMETERS.has(parameter) && value !== facts.parameters[parameter],
  );
  if (differing.length === 0) return ok("overrides", "no service in master.cf has TLS settings of its own");
  const said = differing
    .map(({ service, parameter, value }) => `${service} has ${parameter}=${value}`)
    .join("; ");
  const names = differing.map(({ service, parameter }) => `${service}/${parameter}`);
  return warning("overrides", `${said}: mail that takes it is not sent as main.cf says`, [
    "# if it is not meant to be so, such as a stricter level for a partner, or a content filter on this machine:",
    ...facts.commands.edit("-PX", ...names),
  ]);
}

/** Mail that does not go to the recipient's own MX hosts gets no policy of the recipient's. */
export function judgeRoute({ parameters, commands }: PostfixFacts): Finding {
  const value = (name: string) => parameters[name] ?? "";
  if (value("relayhost") !== "") {
    const text = `relayhost is ${value("relayhost")}: all mail goes there, by the policy of that name and not of the recipient's domain`;
    return warning("route", text, [
      "# if mail is to go to the recipients' own MX hosts:",
      ...commands.edit("-X", "relayhost"),
    ]);
  }
  if (value("default_transport") !== "smtp") {
    const text = `default_transport is ${value("default_transport")}: mail for others does not leave by smtp(8) to their MX hosts`;
    return warning("route", text, [
      "# if mail is to go to the recipients' own MX hosts:",
      ...commands.edit("-X", "default_transport"),
    ]);
  }
  const some = [
    "sender_dependent_relayhost_maps",
    "sender_dependent_default_transport_maps",
    "transport_maps",
  ].filter((name) => value(name) !== "");
  const note =
    some.length === 0 ? "" : `; what ${some.join(", ")} name is sent by the policy of its next hop`;
  return ok("route", `mail goes to the recipients' MX hosts${note}`);
}
