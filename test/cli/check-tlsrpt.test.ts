/** What `check` says about TLSRPT. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Home, stsmapd } from "../helpers/stsmapd.ts";
import { startWorld, type World } from "../helpers/world.ts";

const D = "d.example";
const RUA = "v=TLSRPTv1; rua=mailto:reports@d.example";
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
const checkJson = async (domain: string) => JSON.parse((await check("--json", domain)).stdout).tlsrpt;

it("there is nothing to report of a domain with a good policy", async () => {
  world.publish(D);
  world.dns.zone.txt(`_smtp._tls.${D}`, RUA);
  const { status, stdout } = await check(D);
  expect(status).toBe(0);
  expect(stdout).toContain(`\nTLSRPT    _smtp._tls.${D} TXT: ${RUA}\n          nothing to report\n`);
  expect(await checkJson(D)).toEqual({ record: { kind: "record", text: RUA, ttl: 300 }, report: null });
});

it("a policy that cannot be fetched would be reported", async () => {
  const domain = "gone.example";
  world.publish(domain);
  world.host.respond(domain, { status: 404 });
  world.dns.zone.txt(`_smtp._tls.${domain}`, RUA);
  const message = `policy host mta-sts.${domain} [127.0.0.1]: answered with status 404`;
  const { stdout } = await check(domain);
  expect(stdout).toContain(
    `\nTLSRPT    _smtp._tls.${domain} TXT: ${RUA}\n` +
      `          to be reported: sts-policy-fetch-error, status-404\n          ${message}\n`,
  );
  const { record, report } = await checkJson(domain);
  expect(record).toEqual({ kind: "record", text: RUA, ttl: 300 });
  expect(report).toEqual({
    dpv: "1",
    d: domain,
    pr: RUA,
    policies: [
      {
        "policy-type": 2,
        "policy-domain": domain,
        "failure-details": [{ c: 301, a: message, f: "status-404" }],
        t: 1,
        f: 1,
      },
    ],
  });
});

it("an MTA-STS record that is not valid would be reported", async () => {
  const domain = "invalid.example";
  world.dns.zone.txt(`_mta-sts.${domain}`, "v=STSv1; id=!;");
  world.dns.zone.txt(`_smtp._tls.${domain}`, RUA);
  const { stdout } = await check(domain);
  expect(stdout).toContain(
    `          to be reported: sts-policy-invalid, record-invalid\n` +
      `          TXT record _mta-sts.${domain}: field 2: id must be 1 to 32 letters or digits\n`,
  );
});

it.each<[string, string, (domain: string) => void, string, object]>([
  [
    "without a TLSRPT record",
    "none.example",
    () => {},
    "none, the domain wants no reports",
    { kind: "none" },
  ],
  [
    "with two",
    "two.example",
    (domain) => world.dns.zone.txt(`_smtp._tls.${domain}`, [RUA, RUA]),
    "not valid, the domain gets no reports: 2 TLSRPT records where one is allowed",
    { kind: "invalid", reason: "2 TLSRPT records where one is allowed" },
  ],
  [
    "with one that cannot be asked for",
    "fail.example",
    (domain) => world.dns.behave(`_smtp._tls.${domain}`, "servfail"),
    "could not be asked for: TXT of _smtp._tls.fail.example: ",
    { kind: "dns-failure", code: "servfail" },
  ],
])("a domain %s gets no report", async (_title, domain, prepare, text, record) => {
  world.publishRecord(domain, "1");
  prepare(domain);
  const { stdout } = await check(domain);
  expect(stdout).toContain(`\nTLSRPT    _smtp._tls.${domain} TXT: ${text}`);
  expect(stdout).not.toContain("to be reported");
  const json = await checkJson(domain);
  expect(json.record).toMatchObject(record);
  expect(json.report).toBeNull();
});

it("a key that is no domain has nothing of the kind", async () => {
  const { stdout } = await check("[192.0.2.1]");
  expect(stdout).not.toContain("\nTLSRPT ");
  expect(await checkJson("[192.0.2.1]")).toBeNull();
});
