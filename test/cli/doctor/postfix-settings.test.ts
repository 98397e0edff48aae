/** Settings of Postfix, and what is said of them. */
import { describe, expect, it } from "vitest";
import {
  judgeConnectionReuse,
  judgeMxPatterns,
  judgeOverrides,
  judgeRoute,
} from "../../../src/cli/doctor/delivery.ts";
import { isAtLeast, judgePostfix } from "../../../src/cli/doctor/postfix-version.ts";
import { judgeSecurityLevel } from "../../../src/cli/doctor/security-level.ts";
import { judgeClients } from "../../../src/cli/doctor/service.ts";
import { judgeTlsVersions } from "../../../src/cli/doctor/tls-versions.ts";
import { ownTable, postfixFacts } from "./facts.ts";

describe("the version", () => {
  it.each([
    ["3.10.5", [3, 10, 5], true],
    ["3.10.4", [3, 10, 5], false],
    ["3.9.1", [3, 10], false], // not as decimals
    ["3.11-20250214", [3, 10], true],
    ["4.0", [3, 10, 5], true],
    ["3.10", [3, 10, 1], false],
  ])("%s is at least %j: %s", (version, least, result) => {
    expect(isAtLeast(version, ...least)).toBe(result);
  });

  it("before 3.4 is a problem; none at all is a warning", () => {
    expect(judgePostfix({ kind: "found", facts: postfixFacts({ version: "3.3.22" }) }).status).toBe(
      "problem",
    );
    expect(judgePostfix({ kind: "found", facts: postfixFacts({ version: "3.4.0" }) }).status).toBe("ok");
    expect(judgePostfix({ kind: "missing" }).status).toBe("warning");
    expect(judgePostfix({ kind: "failed", reason: "fatal: open main.cf" }).status).toBe("problem");
  });
});

describe("smtp_tls_security_level", () => {
  it.each([
    ["dane", "dnssec", "yield", "ok"],
    ["dane", "dnssec", "dane-only", "ok"],
    ["dane", "dnssec", "ignore", "warning"], // MTA-STS would go before DANE
    ["dane", "", "yield", "problem"], // Postfix falls back to may
    ["dane", "enabled", "yield", "problem"],
    ["dane-only", "dnssec", "yield", "warning"], // all domains without DANE wait
    ["dane-only", "", "yield", "problem"],
    ["may", "dnssec", "yield", "problem"], // nobody checks DANE
    ["may", "", "dane-only", "problem"], // deferred
    ["may", "", "ignore", "ok"],
    ["encrypt", "", "yield", "problem"],
    ["encrypt", "", "ignore", "ok"],
    ["none", "", "ignore", "warning"], // in the clear where there is no policy
    ["none", "", "yield", "problem"],
    ["secure", "", "yield", "warning"],
    ["verify", "", "ignore", "warning"],
    ["perhaps", "", "yield", "problem"], // no such level
  ] as const)("%s with %s beside dane: %s is %s", (level, support, dane, status) => {
    const facts = postfixFacts({
      parameters: { smtp_tls_security_level: level, smtp_dns_support_level: support },
    });
    const finding = judgeSecurityLevel(facts, dane);
    expect(finding.status).toBe(status);
    expect(finding.mend.length > 0).toBe(status !== "ok");
  });

  it.each([
    [{}, "ignore", "warning"],
    [{ smtp_use_tls: "yes" }, "ignore", "ok"], // as may
    [{ smtp_use_tls: "yes" }, "yield", "problem"],
    [{ smtp_enforce_tls: "yes" }, "ignore", "ok"], // as encrypt
  ] as const)("not set, with %j beside dane: %s is %s", (legacy, dane, status) => {
    const facts = postfixFacts({ parameters: { ...legacy, smtp_tls_security_level: "" } });
    expect(judgeSecurityLevel(facts, dane).status).toBe(status);
  });

  it.each([
    ["dns", "ok"],
    ["native, dns", "ok"],
    ["native", "problem"],
  ])("with smtp_host_lookup %s is %s", (lookup, status) => {
    expect(
      judgeSecurityLevel(postfixFacts({ parameters: { smtp_host_lookup: lookup } }), "yield").status,
    ).toBe(status);
  });
});

it.each([
  ["may", false],
  ["none", false],
  ["encrypt", true], // which lets nothing out in the clear
  ["secure", true],
  ["dane-only", true],
])("who is told to use dane in place of %s is warned of mail in the clear: %s", (level, isWarned) => {
  const { mend } = judgeSecurityLevel(
    postfixFacts({ parameters: { smtp_tls_security_level: level } }),
    "yield",
  );
  expect(mend.join("\n").includes("in the clear")).toBe(isWarned);
  expect(mend).toContainEqual(expect.stringContaining("smtp_tls_security_level = dane"));
});

describe("smtp_tls_mandatory_protocols", () => {
  it("is mended in words that Postfix 3.4 knows, which takes no bounds", () => {
    const facts = postfixFacts({ parameters: { smtp_tls_mandatory_protocols: "TLSv1" } });
    const [command = ""] = judgeTlsVersions(facts).mend;
    expect(command).toContain("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1");
    expect(command).not.toContain(">=");
  });

  it.each([
    [">=TLSv1", "ok"],
    [">=TLSv1.2", "ok"],
    ["!SSLv2, !SSLv3", "ok"],
    ["!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", "ok"],
    ["", "ok"], // all
    ["TLSv1.3", "ok"],
    ["TLSv1", "problem"],
    ["TLSv1, TLSv1.1", "problem"],
    ["<=TLSv1.1", "problem"],
    ["!TLSv1.2, !TLSv1.3", "problem"],
    [">=TLSv1.1, <=TLSv1.2", "ok"],
    [">=0x0303", "ok"],
    [">=303:<=0304", "ok"],
    [">=tlsv1.2 <=0305", "ok"], // OpenSSL knows no such version, and sets no bound
    [">=0304, <=None", "ok"],
    ["<=0x0302", "problem"],
    [">=TLSv1.2, <=302", "problem"], // nothing is between them
    [">=TLSv1.3, <=TLSv1.1, <=TLSv1.3", "ok"], // the last bound counts
    ["TLSv1 TLSv1.1 TLSv1.2", "ok"],
    ["!TLSv1.1", "problem"], // and with it all above, as TLS 1.0 is left
    ["TLSv1, TLSv1.2, TLSv1.3", "problem"],
    ["!TLSv1, !TLSv1.1", "ok"],
    ["TLSv1.2, TLS1.3", "problem"], // no such name
    [">=TLSv1.2.1", "problem"],
    [">=SSLv2", "problem"], // no bound for Postfix
    ["!0303", "problem"], // numbers are for bounds only
    [">=", "problem"],
  ])("%j is %s", (setting, status) => {
    expect(
      judgeTlsVersions(postfixFacts({ parameters: { smtp_tls_mandatory_protocols: setting } })).status,
    ).toBe(status);
  });

  it("names the word that costs Postfix all TLS: a bound, before 3.6", () => {
    const parameters = { smtp_tls_mandatory_protocols: "!SSLv2, >=TLSv1.2" };
    const judge = (version: string) => judgeTlsVersions(postfixFacts({ version, parameters }));
    expect(judge("3.5.25")).toMatchObject({
      status: "problem",
      found: expect.stringContaining('">=TLSv1.2"'),
    });
    expect(judge("3.6.0").status).toBe("ok");
  });
});

describe("smtp_tls_enforce_sts_mx_patterns", () => {
  it.each([
    ["3.11.1", "postfix310", "yes", "ok"],
    ["3.11.1", "postfix310", "no", "warning"],
    ["3.11.1", "postfix", "no", "skipped"], // without the attributes there is nothing to enforce
    ["3.10.2", "postfix310", undefined, "ok"], // not there yet
  ])("Postfix %s, %s: %s is %s", (version, map, setting, status) => {
    const smtp_tls_policy_maps = `socketmap:inet:127.0.0.1:8461:${map}`;
    const parameters = {
      smtp_tls_policy_maps,
      ...(setting !== undefined && { smtp_tls_enforce_sts_mx_patterns: setting }),
    };
    const facts = postfixFacts({ version, parameters });
    expect(judgeMxPatterns(facts, ownTable(facts)).status).toBe(status);
  });
});

describe("what stands in the way of a policy", () => {
  it.each([
    ["no", "", "ok"],
    ["yes", "tlsproxy unix - - n - 0 tlsproxy\nscache unix - - n - 1 scache\n", "ok"],
    ["yes", "scache unix - - n - 1 scache\n", "problem"], // nobody to speak TLS
  ])("smtp_tls_connection_reuse %s with %j is %s", (setting, services, status) => {
    const facts = postfixFacts({
      services: `smtp unix - - n - - smtp\n${services}`,
      parameters: { smtp_tls_connection_reuse: setting },
    });
    expect(judgeConnectionReuse(facts).status).toBe(status);
  });

  it.each([
    ["", "ok"],
    ["relay/unix/syslog_name = relay\n", "ok"],
    ["relay/unix/smtp_tls_security_level = dane\n", "ok"], // the same as in main.cf
    ["relay/unix/smtp_tls_security_level = may\n", "warning"],
    ["relay/unix/smtp_tls_policy_maps = \n", "warning"],
    ["smtpd/inet/smtp_tls_policy_maps = \n", "ok"], // sends no mail
  ])("the override %j is %s", (overrides, status) => {
    expect(judgeOverrides(postfixFacts({ overrides })).status).toBe(status);
  });

  it.each([
    [{}, "ok"],
    [{ relayhost: "[mail.example]:587" }, "warning"],
    [{ default_transport: "lmtp:unix:private/x" }, "warning"],
    [{ transport_maps: "hash:/etc/postfix/transport" }, "ok"], // named in the text
  ])("the route %j is %s", (parameters, status) => {
    expect(judgeRoute(postfixFacts({ parameters })).status).toBe(status);
  });
});

const unit = (descriptors: number | undefined) => ({
  active: "active",
  enabled: "enabled",
  descriptors,
  sockets: [],
});

describe("clients", () => {
  const many = "smtp unix - - n - 2000 smtp\n";
  const any = "smtp unix - - n - 0 smtp\n";
  it.each([
    [undefined, unit(65_536), "ok"],
    [many, unit(65_536), "ok"],
    [many, unit(1_024), "warning"], // half of them are kept for DNS and HTTPS
    [any, unit(65_536), "warning"], // 0 is "as many as there is work for"
    [undefined, undefined, "skipped"],
    [undefined, unit(undefined), "skipped"],
  ])("%j within %j is %s", (services, found, status) => {
    const facts = postfixFacts(services === undefined ? {} : { services });
    expect(judgeClients(facts, 1, found).status).toBe(status);
  });
});
