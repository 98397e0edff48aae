/** What `check` finds out, without the command line around it. */
import { expect, it } from "vitest";
import { examine, policyPresence, type Examination } from "../../src/lookup/examination.ts";
import { Overrides } from "../../src/lookup/overrides.ts";
import { checkValidation } from "../../src/net/dns/ad-trust.ts";
import { discoverDane } from "../../src/net/dane/discovery.ts";
import { DnsClient } from "../../src/net/dns/client.ts";
import { FetchError } from "../../src/net/policy-host/policy-fetcher.ts";
import type { PolicyFetcher } from "../../src/net/policy-host/policy-fetcher.ts";
import type { Override } from "../../src/policy/override.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { startDnsServer, type DnsServer } from "../helpers/dns-server.ts";
import { checkReply } from "../helpers/postfix-grammar.ts";
import { MAPS } from "../helpers/world.ts";

const D = "d.example";
const NOW = Date.parse("2026-01-01T00:00:00Z");
const TRACE = { url: `https://mta-sts.${D}/.well-known/mta-sts.txt`, durationMs: 1 };
const POLICY = "version: STSv1\nmode: enforce\nmx: mx.d.example\nmx: *.mail.example\nmax_age: 86400\n";

const serving: PolicyFetcher = {
  fetch: async () => ({ ...parsePolicy(Buffer.from(POLICY)), trace: TRACE }),
};
const failing: PolicyFetcher = {
  fetch: async () => {
    throw new FetchError("sts-policy-fetch-error", "status-404", "status 404", TRACE);
  },
};

async function look(
  dns: DnsServer,
  fetcher: PolicyFetcher,
  key = D,
  overrides: readonly Override[] = [],
): Promise<Examination> {
  const servers = [{ host: dns.address, port: dns.port }];
  const resolver = new DnsClient({ servers: () => servers, timeoutMs: 2_000, attempts: 1 });
  const { signal } = new AbortController();
  const examination = await examine(key, {
    resolver,
    fetcher,
    discoverDane: (domain) =>
      discoverDane(domain, { resolver, trustAd: false, signal, maxHosts: 10, parallel: 2 }),
    trustsAd: () => false,
    testValidation: () => checkValidation(resolver),
    maps: MAPS,
    overrides: new Overrides(overrides, () => {}),
    now: () => NOW,
  });
  for (const { reply, profile } of examination.answers) checkReply(reply, profile.attributes);
  expect(examination.answers.map(({ map }) => map)).toEqual([...MAPS.keys()]);
  return examination;
}

it("judges each MX host by the policy, in order of preference", async () => {
  await using dns = await startDnsServer();
  dns.zone.txt(`_mta-sts.${D}`, "v=STSv1; id=1;");
  dns.zone.mx(D, [
    { preference: 30, exchange: "deep.a.mail.example" },
    { preference: 20, exchange: "A.Mail.Example" },
    { preference: 10, exchange: `mx.${D}` },
  ]);
  const examination = await look(dns, serving);
  expect(examination.mx).toEqual({
    kind: "hosts",
    hosts: [
      { host: `mx.${D}`, preference: 10, allowed: true },
      { host: "a.mail.example", preference: 20, allowed: true },
      { host: "deep.a.mail.example", preference: 30, allowed: false },
    ],
  });
  expect(policyPresence(examination)).toBe("policy");
});

it("fetches nothing where there is no record, and judges no MX host", async () => {
  await using dns = await startDnsServer();
  dns.zone.mx(D, `mx.${D}`);
  const unused: PolicyFetcher = { fetch: () => Promise.reject(new TypeError("nobody asked")) };
  const examination = await look(dns, unused);
  expect(examination).toMatchObject({ record: { kind: "none" }, mx: { hosts: [{ allowed: undefined }] } });
  expect(examination.fetch).toBeUndefined();
  expect(policyPresence(examination)).toBe("no-policy");
});

it("cannot tell where the policy host fails", async () => {
  await using dns = await startDnsServer();
  dns.zone.txt(`_mta-sts.${D}`, "v=STSv1; id=1;");
  const examination = await look(dns, failing);
  expect(examination.fetch).toMatchObject({ kind: "failed", error: { reason: "status-404" } });
  expect(policyPresence(examination)).toBe("unknown");
});

it("asks nothing for a key that is no domain", async () => {
  await using dns = await startDnsServer();
  const examination = await look(dns, failing, "[IPv6:2001:db8::1]");
  expect(dns.log).toEqual([]);
  expect(examination.domain).toBeUndefined();
  expect(examination.answers.every(({ reply }) => reply.status === "NOTFOUND")).toBe(true);
});

it("answers by the override that matches, and looks at the domain all the same", async () => {
  await using dns = await startDnsServer();
  dns.zone.txt(`_mta-sts.${D}`, "v=STSv1; id=1;");
  const override: Override = {
    domain: `.${D}`,
    action: { kind: "off" },
    until: NOW + 1,
    comment: undefined,
  };
  const examination = await look(dns, serving, D, [override]);
  expect(examination).toMatchObject({ override, fetch: { kind: "fetched" } });
  for (const { verdict, reply } of examination.answers)
    expect({ verdict, reply }).toEqual({ verdict: undefined, reply: { status: "NOTFOUND" } });

  const after = await look(dns, serving, D, [{ ...override, until: NOW }]);
  expect(after.override).toBeUndefined();
  expect(after.answers.map(({ reply }) => reply.status)).toEqual([...MAPS.keys()].map(() => "OK"));
});
