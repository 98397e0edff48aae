import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Home, stsmapd } from "../helpers/stsmapd.ts";
import { checkPolicyText } from "../helpers/postfix-grammar.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";

const D = "d.example";
let world: World;
let home: Home;
let config: string;

beforeAll(async () => {
  world = await startWorld();
  home = new Home();
  config = home.write("stsmapd.yaml", home.network(world));
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

const check = (...args: string[]) => stsmapd(["check", "-c", config, ...args], home.environment());

async function checkJson(nextHop: string) {
  const { status, stdout, stderr } = await check("--json", nextHop);
  expect(stderr).toBe("");
  return { status, json: JSON.parse(stdout) };
}

describe("a domain with a policy", () => {
  it("is explained step by step", async () => {
    world.publish(D, { mx: [`mx1.${D}`, "*.mail.example"], ttl: 3600 });
    world.dns.zone.mx(D, [`mx1.${D}`, "a.mail.example", "rogue.example"]);
    const { status, stdout, stderr } = await check(`[D.Example]:587`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout.split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        "next hop  [D.Example]:587",
        "domain    d.example",
        "record    _mta-sts.d.example TXT: id 1 (TTL 1 h)",
        `fetch     https://mta-sts.d.example:${world.host.port}/.well-known/mta-sts.txt`,
        expect.stringMatching(/^ +127\.0\.0\.1, TLSv1\.3, status 200, text\/plain, \d+ bytes, \d+ ms$/),
        expect.stringMatching(/^ +certificate for mta-sts\.d\.example; by CN=.*; until \d{4}-\d\d-\d\dT/),
        "policy    mode enforce, max_age 7 d",
        "          mx mx1.d.example",
        "          mx *.mail.example",
        "MX        10 mx1.d.example - allowed by the policy",
        "          20 a.mail.example - allowed by the policy",
        "          30 rogue.example - NOT allowed by the policy",
        `maps postfix, QUERY: OK ${secure(D, `mx1.${D}`, ".mail.example")}`,
        expect.stringMatching(/^maps postfix310, QUERYwithTLSRPT: OK secure .* policy_type=sts /),
        "    Postfix delivers only to MX hosts with a trusted certificate for one of these names, and defers otherwise.",
        "    Postfix skips MX hosts that no pattern allows (from 3.10.5 on), delivers to the others only with a trusted certificate for the host's own name, and defers otherwise.",
      ]),
    );
  });

  it("is told to programs", async () => {
    world.publish(D, { mx: [`mx.${D}`] });
    world.dns.zone.mx(D, [`mx.${D}`]);
    const { status, json } = await checkJson(D);
    expect(status).toBe(0);
    expect(json).toMatchObject({
      next_hop: D,
      domain: D,
      result: "policy",
      record: { kind: "record", id: "1", ttl: 300, canonical_name: `_mta-sts.${D}` },
      fetch: {
        kind: "fetched",
        url: `https://mta-sts.${D}:${world.host.port}/.well-known/mta-sts.txt`,
        address: "127.0.0.1",
        tls_version: "TLSv1.3",
        certificate: { names: [`mta-sts.${D}`] },
        status: 200,
        policy: { mode: "enforce", max_age: 604_800, mx: [`mx.${D}`] },
      },
      mx: { kind: "hosts", hosts: [{ host: `mx.${D}`, preference: 10, allowed: true }] },
      maps: { postfix: { status: "OK", text: secure(D) } },
    });
    const versions = { postfix: "3.7", QUERY: "3.7", postfix310: "3.11", QUERYwithTLSRPT: "3.11" } as const;
    for (const [map, version] of Object.entries(versions)) {
      expect(checkPolicyText(json.maps[map].text, { version }).level).toBe("secure");
    }
  });

  it("may be its own mail host", async () => {
    world.publish("own.example", { mx: ["own.example"], mode: "testing" });
    const { status, stdout } = await check("own.example");
    expect(status).toBe(0);
    expect(stdout).toContain(
      "MX        none: the domain is its own mail host\n          0 own.example - allowed by the policy\n",
    );
    expect(stdout).toMatch(/^maps postfix, postfix310, QUERY, QUERYwithTLSRPT: NOTFOUND\n.*mode testing/m);
  });

  it("may take no mail, and have its record elsewhere", async () => {
    world.publish("alias.example", { mode: "none", mx: [] });
    world.withdrawRecord("alias.example");
    world.publishRecord("provider.example", "7");
    world.dns.zone.cname("_mta-sts.alias.example", "_mta-sts.provider.example");
    world.dns.zone.mx("alias.example", ".");
    const { stdout } = await check("alias.example");
    expect(stdout).toContain("\n          an alias of _mta-sts.provider.example\n");
    expect(stdout).toContain("\nMX        null MX: the domain takes no mail\n");
  });
});

describe("a domain without", () => {
  it("has none: status 1, and the cache is not spoken for", async () => {
    const { status, stdout } = await check("nothing.example");
    expect(status).toBe(1);
    expect(stdout).toContain("\nrecord    _mta-sts.nothing.example TXT: none (TTL 1 min)\n");
    expect(stdout).toContain("a daemon that saw a policy before applies that one");
    expect((await checkJson("nothing.example")).json).toMatchObject({ result: "no-policy", fetch: null });
  });

  it("has an invalid record: status 1", async () => {
    world.dns.zone.txt("_mta-sts.two.example", ["v=STSv1; id=1;", "v=STSv1; id=2;"]);
    const { status, json } = await checkJson("two.example");
    expect(status).toBe(1);
    expect(json.record).toMatchObject({ kind: "invalid", reason: "2 MTA-STS records where one is allowed" });
  });
});

describe("a domain of which it cannot be told: status 2", () => {
  it("because DNS fails", async () => {
    world.dns.behave("_mta-sts.fail.example", "servfail");
    world.dns.behave("fail.example", "servfail");
    const { status, stdout } = await check("fail.example");
    expect(status).toBe(2);
    expect(stdout).toContain("record    could not be asked for: TXT of _mta-sts.fail.example: ");
    expect(stdout).toContain("MX        could not be asked for: MX of fail.example: ");
    const { json } = await checkJson("fail.example");
    expect(json).toMatchObject({
      result: "unknown",
      record: { kind: "dns-failure", code: "servfail" },
      mx: { kind: "failed", code: "servfail" },
      maps: { postfix: { status: "NOTFOUND", because: "dns-failure" } },
    });
  });

  it("because the certificate has expired", async () => {
    world.publish("expired.example");
    world.host.certificate("expired.example", { names: ["mta-sts.expired.example"], notAfter: new Date(0) });
    const { status, stdout } = await check("expired.example");
    expect(status).toBe(2);
    expect(stdout).toMatch(/certificate for mta-sts\.expired\.example;.*until 1970-01-01/);
    expect(stdout).toMatch(
      /FAILED: policy host mta-sts\.expired\.example \[127\.0\.0\.1\]: certificate expired/,
    );
    expect(stdout).toContain("sts-webpki-invalid, certificate-expired");
  });

  it("because the policy is not valid", async () => {
    world.publish("syntax.example");
    world.host.serve("syntax.example", "version: STSv1\nmode: enforced\n");
    const { status, json } = await checkJson("syntax.example");
    expect(status).toBe(2);
    expect(json.fetch).toMatchObject({
      kind: "failed",
      class: "sts-policy-invalid",
      code: "policy-syntax",
      reason: expect.stringContaining("line 2"),
      status: 200,
    });
  });
});

it("a key that is no domain is said to be none, and nothing is asked: status 1", async () => {
  const asked = world.dns.log.length;
  const { status, stdout } = await check("[192.0.2.1]");
  expect(status).toBe(1);
  expect(stdout).toContain("domain    none: an address, a path");
  expect(world.dns.log).toHaveLength(asked);
  expect((await checkJson(".example.com")).json).toMatchObject({ domain: null, result: "no-policy" });
});

it("an internationalised name is asked for by its A-labels", async () => {
  world.publish("xn--bcher-kva.example");
  const { status, json } = await checkJson("bücher.example");
  expect(status).toBe(0);
  expect(json).toMatchObject({ next_hop: "bücher.example", domain: "xn--bcher-kva.example" });
});

describe("an override", () => {
  const OWN_LEVEL = "Postfix uses its own smtp_tls_security_level: the override has it so.";
  const DEFERRED = "TEMP deferred by the override for overridden.example: ticket 4711";

  it.each<[action: string, settings: string, text: string, answer: object]>([
    ["off", "", `NOTFOUND\n    ${OWN_LEVEL}`, { status: "NOTFOUND" }],
    ["testing", "", `NOTFOUND\n    ${OWN_LEVEL}`, { status: "NOTFOUND" }],
    [
      "reply",
      ", reply: encrypt",
      "OK encrypt\n    Postfix does what this says: the override has it so.",
      { status: "OK", text: "encrypt" },
    ],
    [
      "defer",
      "",
      `${DEFERRED}\n    Postfix defers the mail and tries again.`,
      { status: "TEMP", reason: DEFERRED.slice("TEMP ".length) },
    ],
  ])("with action %s is shown, and what each map answers then", async (action, settings, text, answer) => {
    const domain = "overridden.example";
    world.publish(domain);
    const override = `{ domain: ${domain}, action: ${action}${settings}, until: 2999-12-31, comment: ticket 4711 }`;
    const file = home.write("override.yaml", `${home.network(world)}overrides: [${override}]\n`);
    const { stdout } = await stsmapd(["check", "-c", file, domain], home.environment());
    expect(stdout).toContain(
      `\noverride  ${action}, for ${domain}, until 3000-01-01 00:00:00 UTC; it goes before all that was found\n` +
        "          ticket 4711\n",
    );
    expect(stdout).toContain(`\nmaps postfix, postfix310, QUERY, QUERYwithTLSRPT: ${text}\n`);
    const printed = await stsmapd(["check", "--json", "-c", file, domain], home.environment());
    const said = { ...answer, because: "override" };
    expect(JSON.parse(printed.stdout)).toMatchObject({
      result: "policy",
      override: { domain, action, until: "3000-01-01T00:00:00.000Z", comment: "ticket 4711" },
      maps: { postfix: said, QUERYwithTLSRPT: said },
    });
  });

  it("with action enforce is explained as a policy is, for a domain without one too", async () => {
    const file = home.write(
      "enforce.yaml",
      `${home.network(world)}overrides: [{ domain: .enforced.example, action: enforce, mx: [mx.enforced.example] }]\n`,
    );
    const { status, stdout } = await stsmapd(["check", "-c", file, "a.enforced.example"], home.environment());
    expect(status).toBe(1);
    expect(stdout).toContain("\noverride  enforce, for .enforced.example, without end; ");
    expect(stdout).toMatch(
      /^maps postfix, QUERY: OK secure match=mx\.enforced\.example .*\n +Postfix delivers/m,
    );
    expect(stdout).toMatch(/^maps postfix310, QUERYwithTLSRPT: OK secure .*\n +Postfix skips MX hosts/m);
    expect(stdout).not.toContain("did not look into the cache");
  });
});

it("names out of DNS neither command the terminal nor forge a line", async () => {
  const domain = "forger.example";
  const evil = "\x1b[2J\nDANE      every\x7f";
  world.publishRecord("provider.example", "1");
  world.dns.zone.txt(`${evil}.example`, "v=STSv1; id=1;");
  world.dns.zone.cname(`_mta-sts.${domain}`, `${evil}.example`);
  world.dns.zone.mx(domain, `${evil}\x9b.example`);
  const { stdout } = await check(domain);
  expect(stdout).toContain("\\x1b[2j\\x0adane      every\\x7f");
  expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  expect(stdout).not.toMatch(/^dane /m);
});
