/** Failures of real fetches, reported over a real datagram socket. */
import { describe, expect, it } from "vitest";
import type { Resolution } from "../../../src/lookup/events.ts";
import {
  MAX_WAITING,
  TlsrptReporter,
  withTlsrpt,
  type TlsrptEvents,
  type TlsrptReporterDeps,
} from "../../../src/lookup/tlsrpt/reporter.ts";
import { DnsError, type DnsAnswer, type RecordType, type Resolver } from "../../../src/net/dns/resolver.ts";
import { UnixDatagramSender } from "../../../src/net/unix-datagram.ts";
import { createCa, type CertificateOptions } from "../../helpers/certificates.ts";
import { HOUR, MINUTE } from "../../helpers/clock.ts";
import { DatagramReceiver } from "../../helpers/datagram-receiver.ts";
import { startPolicyHost } from "../../helpers/policy-host.ts";
import { startWorld, type World, type WorldOptions } from "../../helpers/world.ts";

const D = "d.example";
const RUA = "v=TLSRPTv1; rua=mailto:reports@d.example";
const HOST = `policy host mta-sts.${D}`;
const AT = `${HOST} [127.0.0.1]: `;

/** A world whose failures are reported to `path`. */
class ReportingWorld implements AsyncDisposable {
  readonly world: World;
  readonly reporter: TlsrptReporter;
  /** What became of each report: `delivered sent`, … */
  readonly log: string[];

  private constructor(world: World, reporter: TlsrptReporter, log: string[]) {
    this.world = world;
    this.reporter = reporter;
    this.log = log;
  }

  static async start(path: string, options: WorldOptions = {}): Promise<ReportingWorld> {
    const collector = new UnixDatagramSender(path);
    const log: string[] = [];
    const parts: { reporter?: TlsrptReporter; now: () => number } = { now: () => 0 };
    const world = await startWorld({
      ...options,
      wrapEvents: (events, resolver) => {
        const now = () => parts.now();
        parts.reporter = new TlsrptReporter({ resolver, collector, now, events: recorder(log) });
        return withTlsrpt(events, parts.reporter);
      },
    });
    parts.now = world.clock.now;
    if (parts.reporter === undefined) throw new TypeError("no reporter");
    world.dns.zone.txt(`_smtp._tls.${D}`, RUA);
    return new ReportingWorld(world, parts.reporter, log);
  }

  /** How often the TLSRPT record was asked for. */
  recordQueries(domain = D): number {
    return this.world.dns.queries(`_smtp._tls.${domain}`, "TXT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reporter.stop();
    await this.world[Symbol.asyncDispose]();
  }
}

function recorder(log: string[]): TlsrptEvents {
  return {
    delivered: (domain, { kind }) => void log.push(`${domain} ${kind}`),
    unwanted: (domain, reason) => void log.push(`${domain} unwanted: ${reason}`),
    undecided: (domain, { code }) => void log.push(`${domain} undecided: ${code}`),
    dropped: (domain) => void log.push(`${domain} dropped`),
    failed: (domain, error) => void log.push(`${domain} failed: ${String(error)}`),
    collectorChanged: ({ kind }) => void log.push(`collector ${kind}`),
  };
}

/** The whole datagram, but for what is asked about. */
function datagram(c: number, f: string, a: string, cached: object = {}): object {
  const details = [{ c, a: expect.stringContaining(a), f }];
  const policy = {
    "policy-type": 2,
    "policy-domain": D,
    ...cached,
    "failure-details": details,
    t: 1,
    f: 1,
  };
  return { dpv: "1", d: D, pr: RUA, policies: [policy] };
}

const CACHED = {
  "policy-string": ["version: STSv1", "mode: enforce", `mx: *.${D}`, "max_age: 604800"],
  "mx-host": [`*.${D}`],
};

const certificate = (options: CertificateOptions) => (world: World) =>
  world.host.certificate(D, { names: [`mta-sts.${D}`], ...options });
const certificateCases: [string, number, string, (world: World) => void][] = [
  [
    "certificate-expired",
    303,
    `${AT}certificate expired 2026-01-02`,
    certificate({ notAfter: new Date("2026-01-02T00:00:00Z") }),
  ],
  [
    "certificate-not-yet-valid",
    303,
    `${AT}certificate not valid before 2096-01-02`,
    certificate({ notBefore: new Date("2096-01-02T00:00:00Z") }),
  ],
  [
    "certificate-name-mismatch",
    303,
    `${AT}certificate is for www.${D}, not for`,
    certificate({ names: [`www.${D}`] }),
  ],
  ["certificate-self-signed", 303, `${AT}certificate is self-signed`, certificate({ selfSigned: true })],
  [
    "certificate-untrusted",
    303,
    "is not trusted",
    (world) => world.host.certificate(D, createCa("Stranger").issue({ names: [`mta-sts.${D}`] })),
  ],
  [
    "certificate-invalid",
    303,
    `${AT}certificate is not acceptable`,
    certificate({ usages: ["1.3.6.1.5.5.7.3.2"] }),
  ],
];

const otherCases: [string, number, string, (world: World) => void][] = [
  [
    "dns-error",
    301,
    `${HOST}: addresses cannot be looked up (servfail)`,
    ({ dns }) => dns.behave(`mta-sts.${D}`, "servfail"),
  ],
  ["no-address", 301, `${HOST}: has no address in DNS`, ({ dns }) => dns.zone.remove(`mta-sts.${D}`)],
  ["address-refused", 301, "only 10.0.0.1", ({ dns }) => dns.zone.a(`mta-sts.${D}`, "10.0.0.1")],
  ["connect-failed", 301, HOST, ({ dns }) => dns.zone.a(`mta-sts.${D}`, "127.0.0.77")],
  ["timeout", 301, `${AT}no policy within`, ({ host }) => host.respond(D, { body: () => {} })],
  ["tls-error", 301, AT, ({ host }) => host.cut(D)],
  ["status-404", 301, `${AT}answered with status 404`, ({ host }) => host.respond(D, { status: 404 })],
  [
    "status-302",
    301,
    "redirects must not be followed",
    ({ host }) => host.respond(D, { status: 302, headers: { location: "https://example.com/" } }),
  ],
  [
    "http-error",
    301,
    `${AT}closed the connection`,
    ({ host }) => host.respond(D, { body: (response) => response.socket?.end() }),
  ],
  [
    "media-type",
    301,
    `${AT}media type is text/html, not text/plain`,
    ({ host }) => host.respond(D, { headers: { "content-type": "text/html" } }),
  ],
  ["too-large", 301, `${AT}policy has`, ({ host }) => host.serve(D, "x".repeat(65_537))],
  [
    "policy-syntax",
    302,
    `${AT}policy is not valid: line 2: mode must be`,
    ({ host }) => host.serve(D, "version: STSv1\nmode: enforced\n"),
  ],
  [
    "record-invalid",
    302,
    `TXT record _mta-sts.${D}: field 2: id must be`,
    ({ dns }) => dns.zone.txt(`_mta-sts.${D}`, "v=STSv1; id=!;"),
  ],
  [
    "record-invalid",
    302,
    `TXT record _mta-sts.${D}: 2 MTA-STS records`,
    ({ dns }) => dns.zone.txt(`_mta-sts.${D}`, ["v=STSv1; id=1;", "v=STSv1; id=2;"]),
  ],
];

const cases = [...otherCases, ...certificateCases];
// Long enough for a fetch that fails otherwise.
const fetchTimeout = 1_500;

describe.each(cases)("%s", (reason, code, information, prepare) => {
  it(`is reported as ${code}: ${information}`, async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path, { fetchTimeout });
    reporting.world.publish(D);
    prepare(reporting.world);
    expect(await reporting.world.ask(D)).toBe("NOTFOUND");
    expect(JSON.parse(await receiver.next())).toEqual(datagram(code, reason, information));
    await expect.poll(() => reporting.log).toEqual([`${D} sent`]);
  });

  it("is reported with the cached policy that stays in force", async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path, { fetchTimeout });
    const { world } = reporting;
    const policy = { mx: [`*.${D}`] };
    world.publish(D, policy);
    const reply = await world.ask(D);
    world.publish(D, { ...policy, id: "2" });
    prepare(world);
    world.clock.advance(HOUR);
    expect(await world.recheck(D)).toBe(reply);
    const f = `${reason}+fallback-to-cached-policy`;
    expect(JSON.parse(await receiver.next())).toEqual(datagram(code, f, information, CACHED));
    expect(reporting.log, "nothing but the failure").toEqual([`${D} sent`]);
  });
});

it("tls-version is reported as 301", async () => {
  using receiver = new DatagramReceiver();
  await using reporting = await ReportingWorld.start(receiver.path);
  const { world } = reporting;
  const tls = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  const address = "127.0.0.2";
  await using _old = await startPolicyHost({ ca: world.ca, address, port: world.host.port, tls });
  world.publish(D);
  world.dns.zone.a(`mta-sts.${D}`, address);
  expect(await world.ask(D)).toBe("NOTFOUND");
  const received: unknown = JSON.parse(await receiver.next());
  expect(received).toEqual(datagram(301, "tls-version", `${HOST} [${address}]: `));
});

describe("one datagram", () => {
  it("goes out for each fetch that failed, none for questions in between", async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { world } = reporting;
    world.publishRecord(D, "1", 60);
    await world.ask(D);
    await receiver.next();
    for (let i = 0; i < 3; i++) world.askNow(D);
    world.clock.advance(2 * MINUTE);
    await world.recheck(D);
    expect(world.events.resolved.at(-1)?.outcome.kind).toBe("back-off");
    world.clock.advance(HOUR);
    await world.recheck(D);
    expect(world.events.resolved.at(-1)?.outcome.kind).toBe("fetch-failure");
    await receiver.next();
    await expect.poll(() => reporting.log).toEqual([`${D} sent`, `${D} sent`]);
    expect(receiver.received).toHaveLength(2);
  });
});

describe("nothing is reported", () => {
  const other = "other.example";

  it.each<[string, (world: World) => Promise<unknown>]>([
    ["of a policy that was fetched", (world) => (world.publish(other), world.ask(other))],
    ["of a domain without a record", (world) => world.ask(other)],
    [
      "of a record that could not be asked for",
      (world) => (world.dns.behave(`_mta-sts.${other}`, "servfail"), world.ask(other)),
    ],
    [
      "of a fetch that we gave up ourselves",
      async (world) => {
        world.publish(other);
        const asked = world.dns.nextQuery(`mta-sts.${other}`);
        world.host.respond(other, { body: () => {} });
        const reply = world.ask(other);
        await asked;
        world.engine.stop();
        await reply;
      },
    ],
  ])("%s", async (_title, act) => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { world, log } = reporting;
    world.dns.zone.txt(`_smtp._tls.${other}`, RUA);
    await act(world);
    reporting.reporter.report(failed(D));
    await receiver.next();
    await expect.poll(() => log).toEqual([`${D} sent`]);
    expect(reporting.recordQueries(other)).toBe(0);
  });

  it.each<[string, (world: World) => void, string]>([
    ["no TLSRPT record", ({ dns }) => dns.zone.remove(`_smtp._tls.${D}`), "unwanted: no TLSRPT record"],
    [
      "two TLSRPT records",
      ({ dns }) => dns.zone.txt(`_smtp._tls.${D}`, [RUA, RUA]),
      "unwanted: 2 TLSRPT records where one is allowed",
    ],
    [
      "an invalid TLSRPT record",
      ({ dns }) => dns.zone.txt(`_smtp._tls.${D}`, "v=TLSRPTv1; x=1"),
      "unwanted: rua is missing",
    ],
    [
      "a TLSRPT record that cannot be asked for",
      ({ dns }) => dns.behave(`_smtp._tls.${D}`, "servfail"),
      "undecided: servfail",
    ],
  ])("to a domain with %s", async (_title, prepare, outcome) => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    prepare(reporting.world);
    reporting.world.publishRecord(D, "1");
    await reporting.world.ask(D);
    await expect.poll(() => reporting.log).toEqual([`${D} ${outcome}`]);
    expect(receiver.received).toEqual([]);
  });
});

describe("the TLSRPT record", () => {
  it("may come by an alias and in several strings, and is passed on in one piece", async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { zone } = reporting.world.dns;
    zone.remove(`_smtp._tls.${D}`);
    zone.cname(`_smtp._tls.${D}`, "tlsrpt.provider.example");
    zone.txt("tlsrpt.provider.example", { strings: ["v=TLSRPTv1;", "rua=https:", "//r.example/ ; "] });
    reporting.reporter.report(failed(D));
    expect(JSON.parse(await receiver.next())).toMatchObject({
      pr: "v=TLSRPTv1;rua=https://r.example/ ; ",
    });
  });

  it("is asked for once while its TTL lasts, and its absence too", async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { world, log, reporter } = reporting;
    for (const [index, domain] of [D, D, "none.example", "none.example"].entries()) {
      reporter.report(failed(domain));
      await expect.poll(() => log).toHaveLength(index + 1);
    }
    expect([reporting.recordQueries(), reporting.recordQueries("none.example")]).toEqual([1, 1]);
    world.clock.advance(5 * MINUTE);
    for (const [index, domain] of [D, "none.example"].entries()) {
      reporter.report(failed(domain));
      await expect.poll(() => log).toHaveLength(index + 5);
    }
    expect([reporting.recordQueries(), reporting.recordQueries("none.example")]).toEqual([2, 2]);
  });
});

describe("a collector that is", () => {
  it("absent costs the report, and is noticed when it goes and when it comes", async () => {
    using first = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(`${first.path}2`);
    const { log, reporter, world } = reporting;
    world.publishRecord(D, "1");
    expect(await world.ask(D)).toBe("NOTFOUND");
    await expect.poll(() => log).toEqual([`${D} absent`, "collector absent"]);
    reporter.report(failed(D));
    await expect.poll(() => log.slice(2)).toEqual([`${D} absent`]);
    using second = new DatagramReceiver({ path: `${first.path}2` });
    world.clock.advance(MINUTE);
    reporter.report(failed(D));
    await expect.poll(() => log.slice(3)).toEqual([`${D} sent`, "collector sent"]);
    expect(second.received.length, "what was lost stays lost").toBeLessThanOrEqual(1);
  });

  it("full costs the report and no more", async () => {
    using receiver = new DatagramReceiver({ reads: false });
    const filler = new UnixDatagramSender(receiver.path);
    while (filler.send(Buffer.from("x")).kind === "sent");
    filler.close();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { log, world, reporter } = reporting;
    world.publishRecord(D, "1");
    expect(await world.ask(D)).toBe("NOTFOUND");
    await expect.poll(() => log).toEqual([`${D} full`, "collector full"]);
    receiver.drain();
    world.clock.advance(MINUTE);
    reporter.report(failed(D));
    await expect.poll(() => log.slice(2)).toEqual([`${D} sent`, "collector sent"]);
  });

  it("behind is mentioned once, and again only after a minute without loss", async () => {
    let now = 0;
    let count = 0;
    const { reporter, log } = reporterWith({
      resolver: resolverOfRecord(RUA),
      collector: {
        send: () =>
          now < 5 * MINUTE && count++ % 2 === 0 ? { kind: "full", reason: "behind" } : { kind: "sent" },
        close() {},
      },
      now: () => now,
    });
    for (; now < 7 * MINUTE; now += 30_000) {
      const before = log.length;
      reporter.report(failed(D));
      await expect.poll(() => log.length).toBeGreaterThan(before);
    }
    expect(log.filter((line) => line.startsWith("collector"))).toEqual(["collector full", "collector sent"]);
  });

  it("slow gets what its queue holds, and the rest is lost at once", async () => {
    using receiver = new DatagramReceiver({ reads: false });
    await using reporting = await ReportingWorld.start(receiver.path);
    const { log, reporter } = reporting;
    const outcomes = (kind: string) => log.filter((line) => line === `${D} ${kind}`).length;
    for (let i = 0; i < MAX_WAITING; i++) reporter.report(failed(D));
    await expect.poll(() => outcomes("sent") + outcomes("full")).toBe(MAX_WAITING);
    receiver.drain();
    expect(receiver.received).toHaveLength(outcomes("sent"));
    expect(outcomes("full")).toBeGreaterThan(0);
  });
});

describe("the client", () => {
  it("has its answer before the TLSRPT record is even asked for", async () => {
    using receiver = new DatagramReceiver();
    await using reporting = await ReportingWorld.start(receiver.path);
    const { world } = reporting;
    world.dns.behave(`_smtp._tls.${D}`, "drop");
    world.publishRecord(D, "1");
    expect(await world.ask(D)).toBe("NOTFOUND");
    expect(reporting.log).toEqual([]);
    expect(reporting.recordQueries()).toBe(0);
    await world.dns.nextQuery(`_smtp._tls.${D}`);
    expect(await world.ask(D)).toBe("NOTFOUND");
    expect(receiver.received).toEqual([]);
  });
});

describe("the queue", () => {
  const hanging: Resolver = {
    resolve: (name, _type, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener("abort", () => reject(new DnsError("aborted", name)));
      }),
  };

  it("is bounded: what comes while it is full is dropped", () => {
    const { reporter, log } = reporterWith({ resolver: hanging });
    for (let i = 0; i < MAX_WAITING; i++) reporter.report(failed(D));
    expect(log).toEqual([]);
    reporter.report(failed("late.example"));
    expect(log).toEqual(["late.example dropped"]);
    reporter.stop();
  });

  it("is given up without a word when we stop", async () => {
    const { reporter, log } = reporterWith({ resolver: hanging });
    for (let i = 0; i < 10; i++) reporter.report(failed(D));
    await new Promise((resolve) => setTimeout(resolve));
    reporter.stop();
    reporter.stop();
    reporter.report(failed(D));
    await new Promise((resolve) => setTimeout(resolve));
    expect(log).toEqual([]);
  });

  it("goes on after a fault of our own", async () => {
    let count = 0;
    const resolver: Resolver = {
      resolve: <T extends RecordType>(): Promise<DnsAnswer<T>> => {
        count++;
        return Promise.reject(new TypeError("broken"));
      },
    };
    const { reporter, log } = reporterWith({ resolver });
    for (let i = 0; i < 10; i++) reporter.report(failed(D));
    await expect.poll(() => log).toHaveLength(10);
    expect(new Set(log)).toEqual(new Set([`${D} failed: TypeError: broken`]));
    expect(count).toBe(10);
  });
});

/** A resolution that ended in a failure to report. */
function failed(domain: string): Resolution {
  return {
    domain,
    trigger: "query",
    outcome: { kind: "no-record", reason: "id is missing", isInvalid: true },
    entry: { domain, pin: undefined, failure: undefined, checkedAt: 0, checkAt: 0, usedAt: 0 },
    pin: undefined,
    durationMs: 1,
  };
}

/** A resolver that gives every name this TXT record. */
function resolverOfRecord(text: string): Resolver {
  return {
    resolve: (name) =>
      Promise.resolve({
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only TXT is asked for
        records: [text] as never,
        canonicalName: name,
        nameMissing: false,
        ttl: 60,
        authenticated: false,
      }),
  };
}

function reporterWith(given: Pick<TlsrptReporterDeps, "resolver"> & Partial<TlsrptReporterDeps>): {
  reporter: TlsrptReporter;
  log: string[];
} {
  const log: string[] = [];
  const deps: TlsrptReporterDeps = {
    collector: { send: () => ({ kind: "sent" }), close() {} },
    events: recorder(log),
    now: () => 0,
    ...given,
  };
  return { reporter: new TlsrptReporter(deps), log };
}
