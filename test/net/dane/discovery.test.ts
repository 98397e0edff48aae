import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { discoverDane, type DaneOptions } from "../../../src/net/dane/discovery.ts";
import { type DaneFinding, tlsaProblem } from "../../../src/net/dane/finding.ts";
import { DnsClient } from "../../../src/net/dns/client.ts";
import type { Resolver, TlsaRecord } from "../../../src/net/dns/resolver.ts";
import { type DnsServer, startDnsServer } from "../../helpers/dns-server.ts";

function tlsa(usage: number, selector: number, matchingType: number, data: Uint8Array): TlsaRecord {
  return { usage, selector, matchingType, data };
}
const GOOD = tlsa(3, 1, 1, Buffer.alloc(32, 1));
const PKIX = tlsa(1, 1, 1, Buffer.alloc(32, 1));

/** The given header and 291 octets behind it. */
function der(...header: number[]): Buffer {
  return Buffer.concat([Buffer.from(header), Buffer.alloc(0x123, 5)]);
}

describe("tlsaProblem", () => {
  it.each<[record: TlsaRecord, problem: string | undefined, reason: string]>([
    [tlsa(3, 1, 1, Buffer.alloc(32)), undefined, "DANE-EE, key, SHA-256"],
    [tlsa(2, 0, 2, Buffer.alloc(64)), undefined, "DANE-TA, certificate, SHA-512"],
    [tlsa(3, 0, 0, der(0x30, 0x82, 0x01, 0x23)), undefined, "a whole certificate"],
    [tlsa(2, 1, 0, Buffer.of(0x30, 1, 5)), undefined, "a short sequence"],
    [tlsa(0, 0, 1, Buffer.alloc(32)), "usage 0 is not for SMTP", "PKIX-TA"],
    [tlsa(1, 0, 1, Buffer.alloc(32)), "usage 1 is not for SMTP", "PKIX-EE"],
    [tlsa(4, 0, 1, Buffer.alloc(32)), "usage 4 is not for SMTP", "unassigned"],
    [tlsa(255, 0, 1, Buffer.alloc(32)), "usage 255 is not for SMTP", "private"],
    [tlsa(3, 2, 1, Buffer.alloc(32)), "unknown selector 2", "unassigned"],
    [tlsa(3, 1, 3, Buffer.alloc(32)), "unknown matching type 3", "unassigned"],
    [tlsa(3, 1, 1, Buffer.alloc(31)), "a digest of 31 octets instead of 32", "one short"],
    [
      tlsa(3, 1, 2, Buffer.alloc(32)),
      "a digest of 32 octets instead of 64",
      "SHA-256 under the code of SHA-512",
    ],
    [tlsa(3, 1, 1, Buffer.alloc(0)), "a digest of 0 octets instead of 32", "nothing"],
    [tlsa(3, 1, 0, Buffer.alloc(0)), "no certificate or key in DER", "nothing"],
    [tlsa(3, 1, 0, Buffer.alloc(32)), "no certificate or key in DER", "a digest where the whole should be"],
    [tlsa(3, 1, 0, der(0x30, 0x82, 0x01, 0x24)), "no certificate or key in DER", "cut"],
    [tlsa(3, 1, 0, der(0x30, 0x82, 0x01, 0x22)), "no certificate or key in DER", "with more behind"],
    [
      tlsa(3, 1, 0, Buffer.of(0x30, 0x80, 0, 0)),
      "no certificate or key in DER",
      "indefinite length, which is BER",
    ],
    [tlsa(3, 1, 0, Buffer.of(0x30)), "no certificate or key in DER", "the tag alone"],
  ])("%#: %o → %s (%s)", (record, problem) => {
    expect(tlsaProblem(record)).toBe(problem);
  });
});

/** A finding in short: the set, each host's state, the summary or its reason. */
function brief({ mx, hosts, summary }: DaneFinding): unknown[] {
  const set = `${mx.secure ? "secure" : "insecure"} ${mx.kind}`;
  const states = hosts.map(({ name, state }) => `${name} ${state}`);
  return [set, states, summary.state === "unknown" ? summary.reason : summary.state];
}

/** `signed.example` is a signed zone, `example.com` unless said otherwise, the rest of the world is not. */
interface World {
  /** The exchanges of `example.com`. */
  readonly mx?: readonly string[];
  /** Whether `example.com` is signed. */
  readonly signed?: boolean;
  /** Names with an address, and the TLSA records for their port 25. */
  readonly hosts?: Readonly<Record<string, readonly TlsaRecord[]>>;
  /** TLSA records elsewhere. */
  readonly tlsa?: Readonly<Record<string, readonly TlsaRecord[]>>;
  readonly aliases?: Readonly<Record<string, string>>;
  /** Questions that end in SERVFAIL: a name, or a name and a type. */
  readonly fails?: readonly string[];
}

const A = "a.signed.example";
const B = "b.signed.example";
const ALIAS = "alias.signed.example";
const PLAIN = "mx.plain.example";
const PLAIN_ALIAS = "alias.plain.example";
const TLSA_A = `_25._tcp.${A}`;
const TLSA_B = `_25._tcp.${B}`;
const TLSA_ALIAS = `_25._tcp.${ALIAS}`;
const TLSA_PLAIN = `_25._tcp.${PLAIN}`;
const TLSA_PLAIN_ALIAS = `_25._tcp.${PLAIN_ALIAS}`;

type Row = [title: string, world: World, set: string, hosts: string[], summary: string];

const SETS: Row[] = [
  [
    "all hosts have it",
    { mx: [A, B], hosts: { [A]: [GOOD], [B]: [GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`, `${B} secure-tlsa`],
    "all",
  ],
  [
    "one of two has it",
    { mx: [A, B], hosts: { [A]: [GOOD], [B]: [] } },
    "secure mx",
    [`${A} secure-tlsa`, `${B} no-tlsa`],
    "some",
  ],
  ["none has it", { mx: [A], hosts: { [A]: [] } }, "secure mx", [`${A} no-tlsa`], "none"],
  [
    "an unsigned host in a signed set",
    { mx: [PLAIN], hosts: { [PLAIN]: [GOOD] } },
    "secure mx",
    [`${PLAIN} insecure`],
    "none",
  ],
  [
    "a signed and an unsigned host",
    { mx: [A, PLAIN], hosts: { [A]: [GOOD], [PLAIN]: [GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`, `${PLAIN} insecure`],
    "some",
  ],
  [
    "a signed host in an unsigned set",
    { signed: false, mx: [A], hosts: { [A]: [GOOD] } },
    "insecure mx",
    [`${A} secure-tlsa`],
    "some",
  ],
  [
    "nothing is signed",
    { signed: false, mx: [PLAIN], hosts: { [PLAIN]: [GOOD] } },
    "insecure mx",
    [`${PLAIN} insecure`],
    "none",
  ],
  [
    "records that cannot be used",
    { mx: [A], hosts: { [A]: [PKIX] } },
    "secure mx",
    [`${A} unusable-tlsa`],
    "none",
  ],
  [
    "one usable record among others",
    { mx: [A], hosts: { [A]: [PKIX, GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`],
    "all",
  ],
  [
    "unusable at one host, usable at the other",
    { mx: [A, B], hosts: { [A]: [GOOD], [B]: [PKIX] } },
    "secure mx",
    [`${A} secure-tlsa`, `${B} unusable-tlsa`],
    "some",
  ],
  [
    "a host without an address does not count",
    { mx: [A, B], hosts: { [A]: [GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`, `${B} no-address`],
    "all",
  ],
  [
    "a host whose name fits nowhere does not count",
    { mx: ["a b.example", A], hosts: { [A]: [GOOD] } },
    "secure mx",
    ["a b.example no-address", `${A} secure-tlsa`],
    "all",
  ],
  ["no host has an address", { mx: [A] }, "secure mx", [`${A} no-address`], "none"],
  [
    "implicit MX",
    { hosts: { "example.com": [GOOD] } },
    "secure implicit",
    ["example.com secure-tlsa"],
    "all",
  ],
  [
    "implicit MX, unsigned",
    { signed: false, hosts: { "example.com": [GOOD] } },
    "insecure implicit",
    ["example.com insecure"],
    "none",
  ],
  ["null MX", { mx: ["."] }, "secure null", [], "none"],
  [
    "null MX beside a host",
    { mx: [".", A], hosts: { [A]: [GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`],
    "all",
  ],
  ["no such domain", {}, "secure no-domain", [], "none"],
  ["a host named twice", { mx: [A, A], hosts: { [A]: [GOOD] } }, "secure mx", [`${A} secure-tlsa`], "all"],
  [
    "TLSA leads into an unsigned zone",
    { mx: [A], hosts: { [A]: [] }, aliases: { [TLSA_A]: TLSA_PLAIN }, tlsa: { [TLSA_PLAIN]: [GOOD] } },
    "secure mx",
    [`${A} insecure`],
    "none",
  ],
  [
    "TLSA leads into a signed zone",
    { mx: [A], hosts: { [A]: [] }, aliases: { [TLSA_A]: TLSA_B }, tlsa: { [TLSA_B]: [GOOD] } },
    "secure mx",
    [`${A} secure-tlsa`],
    "all",
  ],
];

const ALIASES: Row[] = [
  [
    "TLSA at the end of an alias",
    { mx: [ALIAS], aliases: { [ALIAS]: A }, hosts: { [A]: [GOOD] } },
    "secure mx",
    [`${ALIAS} secure-tlsa`],
    "all",
  ],
  [
    "TLSA at the original name",
    { mx: [ALIAS], aliases: { [ALIAS]: A }, hosts: { [A]: [] }, tlsa: { [TLSA_ALIAS]: [GOOD] } },
    "secure mx",
    [`${ALIAS} secure-tlsa`],
    "all",
  ],
  [
    "TLSA at neither",
    { mx: [ALIAS], aliases: { [ALIAS]: A }, hosts: { [A]: [] } },
    "secure mx",
    [`${ALIAS} no-tlsa`],
    "none",
  ],
  [
    "unusable TLSA at the end hides the original name's",
    { mx: [ALIAS], aliases: { [ALIAS]: A }, hosts: { [A]: [PKIX] }, tlsa: { [TLSA_ALIAS]: [GOOD] } },
    "secure mx",
    [`${ALIAS} unusable-tlsa`],
    "none",
  ],
  [
    "a failure at the end hides the original name's",
    {
      mx: [ALIAS],
      aliases: { [ALIAS]: A },
      hosts: { [A]: [] },
      tlsa: { [TLSA_ALIAS]: [GOOD] },
      fails: [TLSA_A],
    },
    "secure mx",
    [`${ALIAS} unknown`],
    `TLSA of ${TLSA_A}: servfail`,
  ],
  [
    "a signed alias into an unsigned zone, TLSA there",
    { mx: [ALIAS], aliases: { [ALIAS]: PLAIN }, hosts: { [PLAIN]: [GOOD] } },
    "secure mx",
    [`${ALIAS} no-tlsa`],
    "none",
  ],
  [
    "a signed alias into an unsigned zone, TLSA at the alias",
    {
      mx: [ALIAS],
      aliases: { [ALIAS]: PLAIN },
      hosts: { [PLAIN]: [] },
      tlsa: { [TLSA_ALIAS]: [GOOD] },
      fails: [TLSA_PLAIN],
    },
    "secure mx",
    [`${ALIAS} secure-tlsa`],
    "all",
  ],
  [
    "an unsigned alias into a signed zone",
    {
      mx: [PLAIN_ALIAS],
      aliases: { [PLAIN_ALIAS]: A },
      hosts: { [A]: [GOOD] },
      tlsa: { [TLSA_PLAIN_ALIAS]: [GOOD] },
    },
    "secure mx",
    [`${PLAIN_ALIAS} insecure`],
    "none",
  ],
  [
    "an alias of which it cannot be told whether it is signed",
    {
      mx: [ALIAS],
      aliases: { [ALIAS]: PLAIN },
      hosts: { [PLAIN]: [] },
      fails: [`${ALIAS} CNAME`],
    },
    "secure mx",
    [`${ALIAS} unknown`],
    `CNAME of ${ALIAS}: servfail`,
  ],
  [
    "a signed alias out of an unsigned set, and TLSA fails",
    { signed: false, mx: [ALIAS], aliases: { [ALIAS]: PLAIN }, hosts: { [PLAIN]: [] }, fails: [TLSA_ALIAS] },
    "insecure mx",
    [`${ALIAS} unknown`],
    `TLSA of ${TLSA_ALIAS}: servfail`,
  ],
  [
    "an alias of itself",
    { mx: [ALIAS], aliases: { [ALIAS]: ALIAS } },
    "secure mx",
    [`${ALIAS} no-address`], // the owner's fault, and no mail can go there
    "none",
  ],
];

const FAILURES: Row[] = [
  ["MX fails", { mx: [A], fails: ["example.com"] }, "insecure unknown", [], "MX of example.com: servfail"],
  [
    "TLSA fails",
    { mx: [A], hosts: { [A]: [] }, fails: [TLSA_A] },
    "secure mx",
    [`${A} unknown`],
    `TLSA of ${TLSA_A}: servfail`,
  ],
  [
    "TLSA fails at one host, the other has it",
    { mx: [A, B], hosts: { [A]: [GOOD], [B]: [] }, fails: [TLSA_B] },
    "secure mx",
    [`${A} secure-tlsa`, `${B} unknown`],
    `TLSA of ${TLSA_B}: servfail`,
  ],
  [
    "TLSA fails at one host, the other has none",
    { mx: [A, B], hosts: { [A]: [], [B]: [] }, fails: [TLSA_B] },
    "secure mx",
    [`${A} no-tlsa`, `${B} unknown`],
    `TLSA of ${TLSA_B}: servfail`,
  ],
  [
    "TLSA fails where it is partial anyway",
    { mx: [A, B, PLAIN], hosts: { [A]: [GOOD], [B]: [], [PLAIN]: [] }, fails: [TLSA_B] },
    "secure mx",
    [`${A} secure-tlsa`, `${B} unknown`, `${PLAIN} insecure`],
    "some",
  ],
  [
    "TLSA would fail in an unsigned zone",
    { mx: [PLAIN], hosts: { [PLAIN]: [] }, fails: [TLSA_PLAIN] },
    "secure mx",
    [`${PLAIN} insecure`],
    "none",
  ],
  [
    "TLSA of a signed host in an unsigned set fails",
    { signed: false, mx: [A], hosts: { [A]: [] }, fails: [TLSA_A] },
    "insecure mx",
    [`${A} unknown`],
    `TLSA of ${TLSA_A}: servfail`,
  ],
  [
    "the same, beside a host that has it",
    { signed: false, mx: [A, B], hosts: { [A]: [], [B]: [GOOD] }, fails: [TLSA_A] },
    "insecure mx",
    [`${A} unknown`, `${B} secure-tlsa`],
    "some",
  ],
  [
    "addresses fail in a signed set",
    { mx: [A, B], hosts: { [A]: [GOOD] }, fails: [B] },
    "secure mx",
    [`${A} secure-tlsa`, `${B} unknown`],
    `A of ${B}: servfail`,
  ],
  [
    "addresses fail in an unsigned set",
    { signed: false, mx: [A], fails: [A] },
    "insecure mx",
    [`${A} unknown`],
    "none",
  ],
  [
    "one family fails, the other is there",
    { mx: [A], hosts: { [A]: [GOOD] }, fails: [`${A} AAAA`] },
    "secure mx",
    [`${A} secure-tlsa`],
    "all",
  ],
  [
    "one family fails, the other is absent",
    { mx: [A], fails: [`${A} AAAA`] },
    "secure mx",
    [`${A} unknown`],
    `AAAA of ${A}: servfail`,
  ],
];

const ROWS = [...SETS, ...ALIASES, ...FAILURES];

describe("discoverDane", () => {
  let dns: DnsServer;
  let resolver: Resolver;

  beforeEach(async () => {
    dns = await startDnsServer();
    const servers = [{ host: dns.address, port: dns.port }];
    resolver = new DnsClient({ servers: () => servers, timeoutMs: 5000, attempts: 1 });
  });
  afterEach(() => dns.stop());

  function discover(options: Partial<DaneOptions> = {}): Promise<DaneFinding> {
    return discoverDane("example.com", { resolver, trustAd: true, ...options });
  }

  function build({
    mx,
    signed = true,
    hosts = {},
    tlsa: records = {},
    aliases = {},
    fails = [],
  }: World): void {
    dns.zone.secure("signed.example");
    dns.zone.secure("example.com", signed);
    if (mx !== undefined) dns.zone.mx("example.com", mx);
    for (const [name, data] of Object.entries(hosts)) {
      dns.zone.a(name, "192.0.2.1");
      if (data.length > 0) dns.zone.tlsa(`_25._tcp.${name}`, data);
    }
    for (const [name, data] of Object.entries(records)) dns.zone.tlsa(name, data);
    for (const [name, target] of Object.entries(aliases)) dns.zone.cname(name, target);
    for (const question of fails) {
      const [name = "", type = "*"] = question.split(" ");
      dns.behaveFor(name, type, "servfail");
    }
  }

  it.each(ROWS)("%s", async (_title, world, ...expected) => {
    build(world);
    expect(brief(await discover())).toEqual(expected);
  });

  it("shows names, records and problems", async () => {
    build({ mx: [ALIAS], aliases: { [ALIAS]: A }, hosts: { [A]: [PKIX, GOOD] } });
    expect((await discover()).hosts).toEqual([
      {
        name: ALIAS,
        preference: 10,
        canonicalName: A,
        addressSecure: true,
        state: "secure-tlsa",
        tlsaName: `_25._tcp.${A}`,
        tlsa: [
          { record: PKIX, problem: "usage 1 is not for SMTP" },
          { record: GOOD, problem: undefined },
        ],
        failure: undefined,
      },
    ]);
  });

  it("asks for TLSA only behind an authenticated address", async () => {
    build({ mx: [A, PLAIN], hosts: { [A]: [], [PLAIN]: [] } });
    await discover();
    expect(dns.log.filter((query) => query.type === "TLSA").map((query) => query.name)).toEqual([
      `_25._tcp.${A}`,
    ]);
  });

  it("asks nothing where the AD bit is not trusted", async () => {
    build({ mx: [A], hosts: { [A]: [GOOD] } });
    const finding = await discover({ trustAd: false, failureTtl: 7 });
    expect(finding).toMatchObject({ mx: { kind: "not-asked" }, summary: { state: "none" }, ttl: 7 });
    expect(dns.queries()).toBe(0);
  });

  it("orders hosts by preference", async () => {
    build({});
    dns.zone.mx("example.com", [
      { preference: 20, exchange: B },
      { preference: 5, exchange: A },
    ]);
    expect((await discover()).hosts.map((found) => [found.preference, found.name])).toEqual([
      [5, A],
      [20, B],
    ]);
  });

  it("holds as long as the shortest answer", async () => {
    dns.zone.negative = { ttl: 3000, minimum: 3000 };
    build({});
    dns.zone.mx("example.com", A, { ttl: 1000 });
    dns.zone.a(A, "192.0.2.1", { ttl: 2000 });
    dns.zone.tlsa(`_25._tcp.${A}`, GOOD, { ttl: 900 });
    expect((await discover()).ttl).toBe(900);
    dns.zone.negative = { ttl: 800, minimum: 3000 };
    expect((await discover()).ttl).toBe(800);
    dns.behaveFor(A, "AAAA", "servfail");
    expect((await discover()).ttl).toBe(30);
    expect((await discover({ failureTtl: 5 })).ttl).toBe(5);
  });

  it("looks at no more hosts than allowed, and does not call the rest safe", async () => {
    const names = Array.from({ length: 25 }, (_, i) => `mx${i}.signed.example`);
    build({ mx: names, hosts: Object.fromEntries(names.map((name) => [name, [GOOD]])) });
    const finding = await discover();
    expect(finding).toMatchObject({ mx: { leftOut: 5 }, summary: { state: "some" } });
    expect(finding.hosts.map((found) => found.name)).toEqual(names.slice(0, 20));
    expect(await discover({ maxHosts: 25 })).toMatchObject({ mx: { leftOut: 0 }, summary: { state: "all" } });
  });

  it("asks about no more hosts at once than allowed", async () => {
    build({ mx: Array.from({ length: 12 }, (_, i) => `mx${i}.signed.example`) });
    let now = 0;
    let most = 0;
    const counting: Resolver = {
      resolve: async (name, type, signal) => {
        now++;
        most = Math.max(most, now);
        try {
          return await resolver.resolve(name, type, signal);
        } finally {
          now--;
        }
      },
    };
    await discover({ resolver: counting, parallel: 3 });
    // A and AAAA of one host are one step.
    expect(most).toBe(6);
  });

  it("throws aborted when given up", async () => {
    build({ mx: [A, B, PLAIN] });
    dns.behave(A, "drop");
    const controller = new AbortController();
    const finding = discover({ signal: controller.signal });
    await dns.nextQuery(A);
    controller.abort();
    await expect(finding).rejects.toMatchObject({ name: "DnsError", code: "aborted" });
  });
});
