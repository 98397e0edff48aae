/** What `check` says about DANE. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Home, stsmapd } from "../helpers/stsmapd.ts";
import { secure, startWorld, type World } from "../helpers/world.ts";

const EE = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, 0xab) };
const PKIX = { ...EE, usage: 1 };

let world: World;
let home: Home;
let config: string;

beforeAll(async () => {
  world = await startWorld();
  home = new Home();
  config = home.write("stsmapd.yaml", home.network(world));
  // Two MX hosts in a signed zone: one with TLSA records, one an alias of a host that has none which is usable.
  world.dns.zone.secure("signed.example");
  host("a.signed.example", EE, PKIX);
  host("b.signed.example", PKIX);
  world.dns.zone.cname("alias.signed.example", "b.signed.example");
  host("plain.example", EE);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  home[Symbol.dispose]();
});

function host(name: string, ...tlsa: readonly (typeof EE)[]): void {
  world.dns.zone.a(name, "192.0.2.1");
  if (tlsa.length > 0) world.dns.zone.tlsa(`_25._tcp.${name}`, tlsa);
}

function publish(domain: string, exchanges: readonly string[], { signed = true, policy = true } = {}): void {
  world.dns.zone.secure(domain, signed);
  world.dns.zone.mx(domain, exchanges);
  if (policy) world.publish(domain, { mx: exchanges });
}

const check = (...args: string[]) => stsmapd(["check", "-c", config, ...args], home.environment());

/** The lines under the label DANE, without their indentation. */
async function daneLines(domain: string): Promise<string[]> {
  const { stdout } = await check(domain);
  const [, block = ""] = /^DANE {6}(.*(?:\n {10}.*)*)/m.exec(stdout) ?? [];
  return block.split("\n").map((line, index) => (index === 0 ? line : line.slice(10)));
}

async function json(domain: string) {
  const { dane, maps } = JSON.parse((await check("--json", domain)).stdout);
  const answers = Object.entries<{ status: string; text?: string; reason?: string; because?: string }>(maps);
  const said = answers.map(([map, { status, text, reason, because }]) => [
    map,
    text ?? reason ?? because ?? status,
  ]);
  return { dane, answers: Object.fromEntries(said) };
}

const digest = "abababababababab…";

it("shows each host, its TLSA records, and why one is of no use", async () => {
  publish("some.example", [
    "a.signed.example",
    "alias.signed.example",
    "plain.example",
    "gone.signed.example",
  ]);
  expect(await daneLines("some.example")).toEqual([
    "some MX hosts have it: Postfix's level dane",
    "MX records, signed",
    "a.signed.example: signed, usable TLSA records",
    `  _25._tcp.a.signed.example TLSA 3 1 1 ${digest}: usable`,
    `  _25._tcp.a.signed.example TLSA 1 1 1 ${digest}: usage 1 is not for SMTP`,
    "alias.signed.example (alias of b.signed.example): signed, TLSA records, but none that is usable",
    `  _25._tcp.b.signed.example TLSA 1 1 1 ${digest}: usage 1 is not for SMTP`,
    "plain.example: not signed, so TLSA does not count",
    "gone.signed.example: no address",
  ]);
});

it("shows what each map answers then", async () => {
  publish("all.example", ["a.signed.example"]);
  const { stdout } = await check("all.example");
  expect(stdout).toContain("\nDANE      every MX host has it: Postfix's level dane-only\n");
  expect(stdout).toContain(
    "\nmaps postfix, postfix310: NOTFOUND\n" +
      "    Postfix uses its own smtp_tls_security_level: the domain has DANE, which goes first; at level may it would not be checked: see docs/dane.md.\n" +
      "maps QUERY, QUERYwithTLSRPT: OK dane-only\n" +
      "    Postfix uses its security level dane-only.\n",
  );
});

it("tells programs", async () => {
  publish("json.example", ["alias.signed.example", "a.signed.example"]);
  const hex = "ab".repeat(32);
  const unusable = { usage: 1, selector: 1, matching_type: 1, data: hex, problem: "usage 1 is not for SMTP" };
  const { dane, answers } = await json("json.example");
  expect(dane).toEqual({
    state: "some",
    mx: { kind: "mx", secure: true, left_out: 0 },
    hosts: [
      {
        name: "alias.signed.example",
        preference: 10,
        canonical_name: "b.signed.example",
        address_secure: true,
        state: "unusable-tlsa",
        tlsa_name: "_25._tcp.b.signed.example",
        tlsa: [unusable],
        failure: null,
      },
      {
        name: "a.signed.example",
        preference: 20,
        canonical_name: "a.signed.example",
        address_secure: true,
        state: "secure-tlsa",
        tlsa_name: "_25._tcp.a.signed.example",
        tlsa: [{ usage: 3, selector: 1, matching_type: 1, data: hex, problem: null }, unusable],
        failure: null,
      },
    ],
    ttl: 60,
  });
  expect(answers).toMatchObject({ postfix: "dane", QUERY: "dane" });
});

it("says where a policy goes before the DANE of hosts that anybody could have named", async () => {
  publish("insecure.example", ["a.signed.example"], { signed: false });
  const [summary, set] = await daneLines("insecure.example");
  expect(summary).toBe(
    "MX hosts have it, but the MX records are not signed: a policy in mode enforce goes first, otherwise Postfix's level dane",
  );
  expect(set).toBe("MX records, not signed");
  const { dane, answers } = await json("insecure.example");
  expect(dane).toMatchObject({ state: "insecure-mx", mx: { secure: false } });
  const enforced = secure("insecure.example", "a.signed.example");
  expect(answers).toMatchObject({ postfix: enforced, QUERY: enforced });

  publish("no-policy.example", ["a.signed.example"], { signed: false, policy: false });
  expect((await json("no-policy.example")).answers).toMatchObject({ postfix: "no-policy", QUERY: "dane" });
});

it("names the question that DNS did not answer", async () => {
  host("broken.signed.example");
  world.dns.behaveFor("_25._tcp.broken.signed.example", "TLSA", "servfail");
  publish("unknown.example", ["broken.signed.example"]);
  expect(await daneLines("unknown.example")).toEqual([
    "unknown: TLSA of _25._tcp.broken.signed.example: servfail",
    "MX records, signed",
    expect.stringMatching(
      /^broken\.signed\.example: unknown: TLSA of _25\._tcp\.broken\.signed\.example: .*SERVFAIL/,
    ),
  ]);
  const { dane, answers } = await json("unknown.example");
  expect(dane).toMatchObject({
    state: "unknown",
    reason: "TLSA of _25._tcp.broken.signed.example: servfail",
    hosts: [
      {
        state: "unknown",
        failure: { type: "TLSA", code: "servfail", reason: expect.stringContaining("SERVFAIL") },
      },
    ],
  });
  expect(answers).toMatchObject({ postfix: "dane-unknown", QUERY: dane.reason });
});

it.each<[domain: string, exchanges: string[], first: string, set: string]>([
  ["none.example", ["plain.example"], "none", "MX records, signed"],
  ["null.example", ["."], "none", "null MX, signed"],
])("%s: %s", async (domain, exchanges, first, set) => {
  publish(domain, exchanges, { policy: false });
  expect((await daneLines(domain)).slice(0, 2)).toEqual([first, set]);
});

it("says that it did not look where the AD bit is not trusted", async () => {
  publish("distrusted.example", ["a.signed.example"]);
  const distrusting = home.write(
    "distrusting.yaml",
    home.network(world).replace("dns: {", "dns: { trust_ad: never,"),
  );
  const { stdout } = await stsmapd(["check", "-c", distrusting, "distrusted.example"], home.environment());
  expect(stdout).toContain(
    "\nDANE      not looked for: the resolver's AD bit is not trusted (dns.trust_ad), or dane.enabled is false\n",
  );
  expect(stdout).toContain("postfix, QUERY: OK secure match=a.signed.example ");
});

it.each<[state: string, setting: string, said: string]>([
  ["validating", "dane: { self_test_name: signed.example }", "the resolver validates"],
  [
    "not-validating",
    "dane: { self_test_name: plain.example }",
    "the resolver does NOT validate: a daemon that uses it looks for no DANE",
  ],
  [
    "unknown",
    "dane: { self_test_name: broken.example }",
    "whether the resolver validates is unknown: SOA of broken",
  ],
  [
    "ad-not-trusted",
    "dane: { enabled: false }",
    "not tested: the resolver's AD bit is not trusted (dns.trust_ad)",
  ],
])("says what the self-test of the resolver showed: %s", async (state, setting, said) => {
  for (const name of ["signed.example", "plain.example"]) world.dns.zone.soa(name);
  world.dns.zone.secure("signed.example");
  world.dns.behave("broken.example", "servfail");
  const file = home.write(`${state}.yaml`, `${home.network(world)}${setting}\n`);
  const { stdout } = await stsmapd(["check", "-c", file, "any.example"], home.environment());
  expect(stdout).toContain(`\nDNSSEC    ${said}`);
  const { stdout: printed } = await stsmapd(
    ["check", "--json", "-c", file, "any.example"],
    home.environment(),
  );
  expect(JSON.parse(printed)).toMatchObject({ validation: { state } });
});

it("does not ask the resolver for anything where the next hop is no domain", async () => {
  const { stdout } = await check("--json", "[192.0.2.1]");
  expect(JSON.parse(stdout)).toMatchObject({ validation: null });
});
