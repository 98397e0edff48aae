/** What the log tells of recipient domains, and of policies and clients. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { LogDomains, domainPseudonym } from "../src/log-domains.ts";
import { RawClient, SocketmapClient } from "./helpers/postfix-client.ts";
import { Daemon, Home, stsmapd } from "./helpers/stsmapd.ts";
import { startWorld, type World } from "./helpers/world.ts";

// Each command is a process of its own, and a small machine takes its time to start so many.
vi.setConfig({ testTimeout: 60_000 });

const KEY = "a secret for tests";

describe("a line", () => {
  const hash = new LogDomains({ domains: "hash", hashKey: KEY });
  const none = new LogDomains({ domains: false });

  it("is left as it is where domains are logged", () => {
    const fields = {
      domain: "d.example",
      reason: "TXT of _mta-sts.d.example: no answer",
      err: new Error("d.example"),
    };
    expect(new LogDomains({ domains: true }).censor(fields)).toBe(fields);
  });

  it("about a domain keeps what is known to name none, and an error without its words", () => {
    const cause = new Error("no answer from d.example");
    const err = Object.assign(new TypeError("d.example is wrong", { cause }), { code: "ERR" });
    const fields = {
      domain: "d.example",
      result: "fetch-failure",
      reason: "mta-sts.d.example: 404",
      novel: "d.example",
      err,
    };
    const kept = {
      result: "fetch-failure",
      err: {
        type: "TypeError",
        code: "ERR",
        stack: expect.stringMatching(/^ +at [^]*log-domains\.test\.ts/),
      },
    };
    expect(none.censor(fields)).toEqual(kept);
    expect(hash.censor(fields)).toEqual({ domain: "534a3c725524ffa6", ...kept });
    expect(JSON.stringify(hash.censor(fields))).not.toContain("example");
  });

  it("about no domain keeps its fields, and errors and problems lose their words", () => {
    const problems = ["f.yaml:3:5: overrides[0].domain: d.example? is no domain", "store-not-writable"];
    expect(none.censor({ domain: undefined, clients: 3, problems, err: "d.example" })).toEqual({
      domain: undefined,
      clients: 3,
      problems: ["f.yaml:3:5", "store-not-writable"],
      err: { type: "string" },
    });
  });

  it("follows the options of a reload", () => {
    const domains = new LogDomains({ domains: true });
    domains.use({ domains: false });
    expect(domains.censor({ domain: "d.example" })).toEqual({});
  });
});

describe("a pseudonym", () => {
  // Never to be changed: lines are looked up by it months later. As `printf %s d.example | openssl sha256 -hmac "$KEY"` says.
  it("is the same for ever, under one key", () => {
    expect(domainPseudonym("d.example", KEY)).toBe("534a3c725524ffa6");
    expect(domainPseudonym("d.example", `${KEY}.`)).not.toBe("534a3c725524ffa6");
    expect(domainPseudonym("e.example", KEY)).not.toBe("534a3c725524ffa6");
  });
});

/** Labels that stand in no line of the log but for the domain they are of. */
const ANIMALS = {
  zebra: "a policy that is enforced",
  okapi: "no record",
  lemur: "an invalid record",
  tapir: "DNS fails",
  dugong: "the policy host answers by a redirect",
  walrus: "its certificate is for another",
  ibex: "a policy that is not valid",
  quokka: "no TLS",
  civet: "DANE cannot be found out",
  gibbon: "the deadline passes",
  marmot: "overridden",
  weasel: "overridden until the past",
  ocelot: "held back",
  puffin: "an alias",
} as const;

function publish(world: World): void {
  for (const animal of ["zebra", "civet", "ocelot", "marmot", "weasel"]) world.publish(`${animal}.example`);
  world.dns.zone.txt("_mta-sts.lemur.example", "v=STSv1; id=lemur!;");
  world.dns.behave("_mta-sts.tapir.example", "servfail");
  world.dns.behave("_mta-sts.gibbon.example", "drop");
  for (const animal of ["dugong", "walrus", "ibex", "quokka"]) world.publish(`${animal}.example`);
  world.host.respond("dugong.example", {
    status: 302,
    headers: { location: "https://puffin.example/dugong" },
  });
  world.host.certificate("walrus.example", { names: ["puffin.example"] });
  world.host.respond("ibex.example", { body: "version: STSv1\nmode: ibex\nmx: puffin.example\n" });
  world.host.cut("quokka.example");
  world.dns.zone.secure(".");
  world.dns.zone.soa(".");
  world.dns.zone.mx("civet.example", ["mx.civet.example"]);
  world.dns.zone.a("mx.civet.example", "192.0.2.1");
  world.dns.behave("_25._tcp.mx.civet.example", "servfail");
  world.dns.zone.cname("_mta-sts.puffin.example", "_mta-sts.tapir.example");
  for (const animal of Object.keys(ANIMALS))
    world.dns.zone.txt(`_smtp._tls.${animal}.example`, `v=TLSRPTv1; rua=mailto:reports@${animal}.example`);
}

/** Has every kind of line written, and gives them all. */
async function everything(log: string): Promise<string> {
  using home = new Home();
  await using world = await startWorld();
  publish(world);
  const text = [
    home.network(world),
    `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]`,
    "lookup: { deadline: 500ms }",
    "maps: { observe: { rollout: observe }, only: { dane: dane-only } }",
    `tlsrpt: { collector: ${home.path}/nobody.sock }`,
    "overrides:",
    "  - { domain: .marmot.example, action: defer, comment: because of marmot.example }",
    "  - { domain: weasel.example, action: off, until: 2020-01-01, comment: weasel }",
    `log: { level: trace, format: json, ${log} }`,
  ];
  const config = home.write("c.yaml", text.join("\n"));
  await using daemon = await Daemon.start(["-c", config], home.environment());
  await daemon.logged("the resolver validates DNSSEC; DANE is looked for");
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  for (const animal of Object.keys(ANIMALS)) {
    for (const map of ["postfix", "observe", "only"]) await client.query(map, `${animal}.example`);
  }
  using rude = await RawClient.connect(daemon.addresses[0]!);
  rude.write("18:postfix zebra.example;");
  await daemon.logged("client broke the protocol; disconnected");
  for (const args of [
    ["refresh", "dugong.example"],
    ["show", "civet.example"],
    ["forget", "zebra.example", "--yes"],
  ])
    await stsmapd(["cache", ...args, "-c", config], home.environment());
  home.write(
    "c.yaml",
    `overrides: [{ domain: "puffin.example.", action: zebra }]\nzebra.example: 1\n${text.join("\n")}`,
  );
  daemon.signal("SIGHUP");
  await daemon.logged("configuration is wrong; the one in force stays");
  daemon.signal("SIGUSR1");
  await daemon.logged("state");
  // The reports are given up in the background.
  for (let tries = 0; tries < 100 && !daemon.log.some(({ msg }) => msg === "TLSRPT"); tries++)
    await sleep(50);
  daemon.signal("SIGTERM");
  await daemon.exited;
  return daemon.log.map((line) => JSON.stringify(line)).join("\n");
}

const names = new RegExp(["example", "STSv1", ...Object.keys(ANIMALS)].join("|"), "i");

/** What must have been logged for the search in it to mean anything. */
function expectAll(log: string): void {
  const results = ["fetched", "no-record", "dns-failure", "fetch-failure", "would_enforce"];
  const lines = [
    "answered at the deadline",
    "answered by an override",
    "override has run out",
    "DANE state found out",
  ];
  for (const text of [...results, ...lines, '"state":"unknown"', '"msg":"TLSRPT"'])
    expect(log).toContain(text);
  for (const code of ["servfail", "certificate-name-mismatch", "policy-syntax", "status-302"])
    expect(log).toContain(`"${code}"`);
}

describe("the whole log, at level trace,", () => {
  it("has no label of a domain with log.domains: false", async () => {
    const log = await everything("domains: false");
    expectAll(log);
    expect(log.split("\n").filter((line) => names.test(line))).toEqual([]);
    expect(log).not.toContain('"domain"');
  });

  it("has none with log.domains: hash, but a pseudonym that `cache show` tells", async () => {
    const log = await everything(`domains: hash, hash_key: ${KEY}`);
    expectAll(log);
    expect(log.split("\n").filter((line) => names.test(line) || line.includes(KEY))).toEqual([]);
    for (const animal of Object.keys(ANIMALS)) {
      const pseudonym = domainPseudonym(`${animal}.example`, KEY);
      expect(log).toContain(`"domain":"${pseudonym}"`);
    }
    using home = new Home();
    await using world = await startWorld();
    const config = home.write("c.yaml", `${home.network(world)}log: { domains: hash, hash_key: ${KEY} }\n`);
    await using _ = await Daemon.start(["-c", config], home.environment());
    const { stdout } = await stsmapd(["cache", "show", "zebra.example", "-c", config], home.environment());
    expect(stdout).toMatch(
      new RegExp(`^log +the domain is ${domainPseudonym("zebra.example", KEY)} there\\n`),
    );
    expect((await stsmapd(["config", "-c", config], home.environment())).stdout).not.toContain(KEY);
  });

  it("has domains and reasons with log.domains: true, but above debug no policy text and nothing that clients sent", async () => {
    const log = await everything("domains: true");
    expectAll(log);
    for (const animal of Object.keys(ANIMALS)) expect(log).toContain(`${animal}.example`);
    const above = log.split("\n").filter((line) => !/"level":"(?:debug|trace)"/.test(line));
    expect(above.filter((line) => /mode: \w+|max_age:|18:postfix/.test(line))).toEqual([]);
  });
});
