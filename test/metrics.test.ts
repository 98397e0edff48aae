/** What those who watch the daemon are told: metrics, health and readiness, of a real process. */
import { execFileSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { createLogger } from "../src/log.ts";
import { DatagramReceiver } from "./helpers/datagram-receiver.ts";
import { RawClient, SocketmapClient, TcpTableClient } from "./helpers/postfix-client.ts";
import { Daemon, Home } from "./helpers/stsmapd.ts";
import { startWorld, type World } from "./helpers/world.ts";

const D = "d.example";
const LISTEN = `listen:
  - { protocol: socketmap, address: "127.0.0.1:0" }
  - { protocol: tcp_table, address: "127.0.0.1:0", map: postfix310 }
metrics: { listen: "127.0.0.1:0" }
`;

function start(home: Home, world: World, more = ""): Promise<Daemon> {
  return Daemon.start(
    ["-c", home.write("stsmapd.yaml", home.network(world) + LISTEN + more)],
    home.environment(),
  );
}

interface Page {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

/** @param where `host:port`, or the path of a unix socket */
function get(where: string, path: string, method = "GET"): Promise<Page> {
  const [host, port] = where.split(":");
  const at = where.startsWith("/") ? { socketPath: where } : { host, port };
  return new Promise((resolve, reject) => {
    const sent = request({ ...at, path, method }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, type: response.headers["content-type"], body }),
        reject,
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

async function tcpOf(daemon: Daemon): Promise<string> {
  return String((await daemon.logged("ready"))["metrics"]);
}

const COMMENT = /^# (?:HELP|TYPE) [a-z_0-9]+ \S/;
const SAMPLE = /^(?<name>[a-z_][a-z_0-9]*)(?:\{(?<labels>(?:[a-z_]+="[^"\\\n]*",?)*)\})? (?<value>\S+)$/;

/** Values by name and labels as they are written, `name{a="b"}`. Fails on a line that is no exposition format. */
function parse(page: string): Map<string, number> {
  expect(page.endsWith("\n")).toBe(true);
  const samples = new Map<string, number>();
  const lines = page.split("\n").filter((line) => line !== "" && !COMMENT.test(line));
  for (const line of lines) {
    expect(line).toMatch(SAMPLE);
    const [series, value = ""] = line.split(/ (?=\S+$)/);
    expect([...samples.keys()]).not.toContain(series);
    expect(value).toMatch(/^(?:Nan|[+-]?Inf|[-+.e0-9]+)$/);
    samples.set(series!, Number(value));
  }
  return samples;
}

async function scrape(daemon: Daemon): Promise<Map<string, number>> {
  const page = await get(await tcpOf(daemon), "/metrics");
  expect(page).toMatchObject({ status: 200, type: expect.stringMatching(/^text\/plain; version=0\.0\.4/) });
  return parse(page.body);
}

async function ready(daemon: Daemon) {
  const { status, body } = await get(await tcpOf(daemon), "/readyz");
  return { status, ...JSON.parse(body) };
}

async function ask(daemon: Daemon, domain: string, map = "postfix"): Promise<string> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  return (await client.query(map, domain)).status;
}

const secretName = (n: number) => `secret${n}.example`;

function ownSeries(page: ReadonlyMap<string, number>): string[] {
  return [...page.keys()].filter((series) => series.startsWith("stsmapd_"));
}

const lookups = (result: string, map: string, protocol = "socketmap") =>
  `stsmapd_lookups_total{result="${result}",map="${map}",protocol="${protocol}"}`;

const failures = (failureClass: string, reason: string) =>
  `stsmapd_fetch_failures_total{class="${failureClass}",reason="${reason}"}`;

describe("/metrics", () => {
  it("counts lookups by result, map and protocol, and times them warm and cold", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave("_mta-sts.broken.example", "servfail");
    await using daemon = await start(home, world, "maps: { strict: { dns_failure: defer } }\n");
    for (let i = 0; i < 3; i++) expect(await ask(daemon, D)).toBe("OK");
    expect(await ask(daemon, "nothing.example", "QUERY")).toBe("NOTFOUND");
    expect(await ask(daemon, "broken.example", "strict")).toBe("TEMP");
    using table = await TcpTableClient.connect(daemon.addresses[1]!);
    await table.query(D);
    await table.query("192.0.2.1");

    const metrics = await scrape(daemon);
    expect(
      Object.fromEntries([...metrics].filter(([name]) => name.startsWith("stsmapd_lookups_total"))),
    ).toEqual({
      [lookups("ok", "postfix")]: 3,
      [lookups("notfound", "postfix")]: 0,
      [lookups("temp", "postfix")]: 0,
      [lookups("would_enforce", "postfix")]: 0,
      [lookups("ok", "QUERY")]: 0,
      [lookups("notfound", "QUERY")]: 1,
      [lookups("temp", "QUERY")]: 0,
      [lookups("would_enforce", "QUERY")]: 0,
      [lookups("ok", "strict")]: 0,
      [lookups("notfound", "strict")]: 0,
      [lookups("temp", "strict")]: 1,
      [lookups("would_enforce", "strict")]: 0,
      [lookups("ok", "postfix310", "tcp_table")]: 1,
      [lookups("notfound", "postfix310", "tcp_table")]: 1,
      [lookups("temp", "postfix310", "tcp_table")]: 0,
      [lookups("would_enforce", "postfix310", "tcp_table")]: 0,
    });
    expect(metrics.get("stsmapd_cold_lookup_duration_seconds_count")).toBe(3);
    expect(metrics.get("stsmapd_warm_lookup_duration_seconds_count")).toBe(4);
    expect(metrics.get("stsmapd_fetch_duration_seconds_count")).toBe(1);
    expect(metrics.get('stsmapd_resolutions_total{result="fetched",trigger="query"}')).toBe(1);
    expect(metrics.get('stsmapd_resolutions_total{result="no-record",trigger="query"}')).toBe(1);
    expect(metrics.get('stsmapd_resolutions_total{result="dns-failure",trigger="query"}')).toBe(1);
    expect(metrics.get('stsmapd_dns_queries_total{type="TXT",result="servfail"}')).toBe(1);
    expect(metrics.get('stsmapd_cache_entries{mode="enforce"}')).toBe(1);
    expect(metrics.get('stsmapd_clients{protocol="tcp_table"}')).toBe(1);
    expect(metrics.get("stsmapd_cache_expiring_soon")).toBe(1);
    expect(metrics.get("stsmapd_cache_lapsing")).toBe(0);
    expect(metrics.get("stsmapd_store_readable")).toBe(1);
    expect(
      Math.abs(metrics.get("stsmapd_cache_oldest_check_timestamp_seconds")! - Date.now() / 1000),
    ).toBeLessThan(600);
    expect(metrics.get("nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);

    await ask(daemon, D);
    expect((await scrape(daemon)).get(lookups("ok", "postfix"))).toBe(4);
  });

  it("has buckets that add up", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world);
    for (let i = 0; i < 20; i++) await ask(daemon, "[192.0.2.1]");
    const metrics = await scrape(daemon);
    for (const name of ["warm_lookup", "cold_lookup", "fetch"]) {
      const family = `stsmapd_${name}_duration_seconds`;
      const buckets = [...metrics].filter(([series]) => series.startsWith(`${family}_bucket`));
      const counts = buckets.map(([, value]) => value);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(buckets.at(-1)).toEqual([`${family}_bucket{le="+Inf"}`, metrics.get(`${family}_count`)]);
    }
    expect(metrics.get("stsmapd_warm_lookup_duration_seconds_count")).toBe(20);
    expect(metrics.get("stsmapd_warm_lookup_duration_seconds_sum")).toBeGreaterThan(0);
  });

  it("counts failed fetches by class and reason, clients that misbehave, and what became of reports", async () => {
    using home = new Home();
    using receiver = new DatagramReceiver();
    await using world = await startWorld();
    for (const [index, status] of [404, 410, 500].entries()) {
      world.publish(`s${index}.example`);
      world.host.respond(`s${index}.example`, { status });
    }
    world.dns.zone.txt("_smtp._tls.s0.example", "v=TLSRPTv1; rua=mailto:reports@s0.example");
    world.publish("misnamed.example");
    world.host.certificate("misnamed.example", { names: ["other.example"] });
    await using daemon = await start(home, world, `tlsrpt: { collector: ${receiver.path} }\n`);
    for (const name of ["s0", "s1", "s2", "misnamed"])
      expect(await ask(daemon, `${name}.example`)).toBe("NOTFOUND");
    await receiver.next();
    const raw = await RawClient.connect(daemon.addresses[0]!);
    raw.socket.write("no netstring");
    await raw.closed;

    await expect
      .poll(async () => (await scrape(daemon)).get('stsmapd_tlsrpt_reports_total{result="unwanted"}'))
      .toBe(3);
    const metrics = await scrape(daemon);
    expect(metrics.get(failures("sts-policy-fetch-error", "status-4xx"))).toBe(2);
    expect(metrics.get(failures("sts-policy-fetch-error", "status-5xx"))).toBe(1);
    expect(metrics.get(failures("sts-webpki-invalid", "certificate-name-mismatch"))).toBe(1);
    expect(metrics.get("stsmapd_fetch_duration_seconds_count")).toBe(4);
    expect(metrics.get('stsmapd_tlsrpt_reports_total{result="sent"}')).toBe(1);
    expect(metrics.get("stsmapd_tlsrpt_reports_waiting")).toBe(0);
    const violations = [...metrics].filter(([name]) => name.startsWith("stsmapd_protocol_violations_total"));
    expect(violations.map(([, count]) => count)).toEqual([1]);
    expect(await ready(daemon)).toMatchObject({ last_fetch: { result: "certificate-name-mismatch" } });
  });

  it("names no domain, and has no more series however many are asked for", async () => {
    using home = new Home();
    await using world = await startWorld();
    const statuses = [200, 404, 410, 500, 503];
    const lookUp = async (from: number, to: number) => {
      using client = await SocketmapClient.connect(daemon.addresses[0]!);
      for (let n = from; n < to; n++) await client.query("postfix", secretName(n));
    };
    for (let n = 0; n < 300; n++) {
      if (n % 3 === 0) world.publish(secretName(n));
      if (n % 7 === 0) world.host.respond(secretName(n), { status: statuses[n % 5]! });
      if (n % 11 === 0) world.dns.behave(`_mta-sts.${secretName(n)}`, "servfail");
    }
    await using daemon = await start(home, world);
    await lookUp(0, 150);
    const before = await scrape(daemon);
    await lookUp(150, 300);
    const { body } = await get(await tcpOf(daemon), "/metrics");
    expect(body).not.toContain("secret");
    expect(body).not.toContain(".example");
    expect(ownSeries(parse(body))).toEqual(ownSeries(before));
    expect(parse(body).get('stsmapd_dns_queries_total{type="TXT",result="servfail"}')).toBe(28);
  });

  it("shows how it stands while a lookup waits", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 1_000 });
    await using daemon = await start(home, world);
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon, D);
    await asked;
    expect((await scrape(daemon)).get("stsmapd_resolutions_running")).toBe(1);
    await reply;
    expect((await scrape(daemon)).get("stsmapd_resolutions_running")).toBe(0);
  });

  it("says whether the configuration is right, and what waits for a restart", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world);
    const config = async () => {
      const metrics = await scrape(daemon);
      const value = (name: string) => metrics.get(`stsmapd_config_${name}`);
      return {
        ok: value("last_reload_successful"),
        at: value("last_reload_success_timestamp_seconds") ?? 0,
        waiting: value("sections_waiting_for_restart"),
      };
    };
    const reload = (more: string) => {
      home.write("stsmapd.yaml", home.network(world) + LISTEN + more);
      daemon.signal("SIGHUP");
    };
    const first = await config();
    expect(first).toMatchObject({ ok: 1, waiting: 0 });
    reload("maps: nonsense\n");
    await expect.poll(config, { timeout: 10_000 }).toEqual({ ...first, ok: 0 });
    reload("lookup: { deadline: 5s }\n");
    await expect.poll(config, { timeout: 10_000 }).toEqual({ ok: 1, at: expect.any(Number), waiting: 1 });
    expect((await config()).at).toBeGreaterThan(first.at);
  });

  it("calls maps that nobody configured `other`, whatever clients make up", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world);
    using client = await SocketmapClient.connect(daemon.addresses[0]!);
    const names = Array.from({ length: 1_000 }, (_, n) => `map-${n}-${Math.random()}`);
    for (const name of [...names, "other", "constructor", '"quoted"'])
      await client.query(name, "[192.0.2.1]");
    const metrics = await scrape(daemon);
    const maps = [...metrics.keys()].filter((series) => series.startsWith("stsmapd_lookups_total"));
    expect(maps).toEqual(
      ["ok", "notfound", "temp", "would_enforce"].map((result) => lookups(result, "other")),
    );
    expect(metrics.get(lookups("notfound", "other"))).toBe(1_003);
  });
});

describe("/readyz", () => {
  it("is 200 with the details while lookups are answered, on the admin socket too", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using daemon = await start(home, world);
    await ask(daemon, D);
    await daemon.logged("the resolver does not validate DNSSEC; DANE is not looked for");
    const expected = {
      ready: true,
      state: "ok",
      problems: [],
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      listen: [
        { protocol: "socketmap", address: daemon.addresses[0], configured: "127.0.0.1:0" },
        { protocol: "tcp_table", address: daemon.addresses[1], configured: "127.0.0.1:0" },
      ],
      store: { writable: true, readable: true, last_error: null },
      disk: { free_bytes: expect.any(Number) },
      resolver: { answering: true, last_answer: expect.stringMatching(/Z$/), last_failure: null },
      validating: "not-validating",
      last_fetch: { at: expect.stringMatching(/Z$/), result: "fetched" },
    };
    expect(await ready(daemon)).toEqual({ status: 200, ...expected });
    const admin = String((await daemon.logged("ready"))["admin"]);
    expect(JSON.parse((await get(admin, "/readyz")).body)).toEqual(expected);
    expect(await get(admin, "/healthz")).toMatchObject({ status: 200 });
    expect(parse((await get(admin, "/metrics")).body).get("stsmapd_ready")).toBe(1);
  });

  it("is 503 while it stops, and 200 for /healthz", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.behave("_mta-sts.slow.example", "drop");
    await using daemon = await start(home, world, "lookup: { stop_timeout: 10m }\n");
    const asked = world.dns.nextQuery("_mta-sts.slow.example");
    const reply = ask(daemon, "slow.example").catch((error: unknown) => error);
    await asked;
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    expect(await ready(daemon)).toMatchObject({ status: 503, ready: false, state: "stopping" });
    expect(await get(await tcpOf(daemon), "/healthz")).toMatchObject({ status: 200 });
    expect((await scrape(daemon)).get("stsmapd_ready")).toBe(0);
    await reply;
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });

  it("is degraded, but 200, while DNS does not answer", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world, "dane: { enabled: false }\n");
    world.dns.behave("*", "servfail");
    for (let n = 0; n < 5; n++) await ask(daemon, `d.n${n}.example`);
    const problem = { status: 200, state: "degraded", problems: ["resolver-not-answering"] };
    expect(await ready(daemon)).toMatchObject({
      ...problem,
      resolver: { answering: false, last_failure: { code: "servfail" } },
    });
    expect((await scrape(daemon)).get("stsmapd_resolver_answering")).toBe(0);
    world.dns.behave("*");
    await ask(daemon, "again.example");
    expect(await ready(daemon)).toMatchObject({ state: "ok", resolver: { answering: true } });
  });

  it.each<[state: string, more: string, message: string]>([
    [
      "validating",
      "dane: { self_test_name: signed.example }",
      "the resolver validates DNSSEC; DANE is looked for",
    ],
    [
      "not-validating",
      "dane: { self_test_name: plain.example }",
      "the resolver does not validate DNSSEC; DANE is not looked for",
    ],
    [
      "unknown",
      "dane: { self_test_name: broken.example }",
      "whether the resolver validates DNSSEC is unknown",
    ],
    ["ad-not-trusted", "dane: { enabled: false }", "ready"],
  ])("says what the self-test of the resolver showed: %s", async (state, more, message) => {
    using home = new Home();
    await using world = await startWorld();
    for (const name of ["signed.example", "plain.example"]) world.dns.zone.soa(name);
    world.dns.zone.secure("signed.example");
    world.dns.behave("broken.example", "servfail");
    await using daemon = await start(home, world, `${more}\n`);
    await daemon.logged(message);
    expect(await ready(daemon)).toMatchObject({ status: 200, state: "ok", validating: state, problems: [] });
    const metrics = await scrape(daemon);
    for (const each of ["validating", "not-validating", "unknown", "ad-not-trusted"])
      expect(metrics.get(`stsmapd_validation{state="${each}"}`)).toBe(Number(each === state));
  });

  it("is degraded once the resolver does not validate any longer", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.zone.soa("signed.example");
    world.dns.zone.secure("signed.example");
    const selfTest = "dane: { self_test_name: signed.example, self_test_interval: 1s }\n";
    await using daemon = await start(home, world, selfTest);
    await daemon.logged("the resolver validates DNSSEC; DANE is looked for");
    expect(await ready(daemon)).toMatchObject({ state: "ok", validating: "validating" });
    world.dns.zone.secure("signed.example", false);
    await daemon.logged("the resolver does not validate DNSSEC; DANE is not looked for");
    expect(await ready(daemon)).toMatchObject({
      status: 200,
      state: "degraded",
      problems: ["resolver-not-validating"],
      validating: "not-validating",
    });
  });

  it("is ok while one domain's name servers are dead, however often it is asked for", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world, "dane: { enabled: false }\n");
    world.dns.behave("*", "servfail");
    for (let n = 0; n < 20; n++) await ask(daemon, `n${n}.sub.broken.example`);
    expect(await ready(daemon)).toMatchObject({ state: "ok", resolver: { answering: true } });
  });

  it.skipIf(!canMount())(
    "is degraded, but 200, while the disk is full (needs the right to mount)",
    async () => {
      using home = new Home();
      await using world = await startWorld();
      const disk = join(home.path, "disk");
      mkdirSync(disk);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
      try {
        await using daemon = await start(
          home,
          world,
          `store: { path: ${disk}/cache.sqlite }\ndane: { enabled: false }\n`,
        );
        fill(join(disk, "ballast"));
        world.publish(D);
        expect(await ask(daemon, D)).toBe("OK");
        expect(await ready(daemon)).toMatchObject({
          status: 200,
          ready: true,
          state: "degraded",
          problems: ["store-not-writable"],
          store: { writable: false, last_error: { code: "full", message: expect.any(String) } },
          disk: { free_bytes: 0 },
        });
        const metrics = await scrape(daemon);
        expect(metrics.get("stsmapd_store_writable")).toBe(0);
        expect(metrics.get("stsmapd_store_free_bytes")).toBe(0);
        expect(metrics.get('stsmapd_store_failures_total{operation="write",code="full"}')).toBeGreaterThan(0);

        rmSync(join(disk, "ballast"));
        world.publish("e.example");
        expect(await ask(daemon, "e.example")).toBe("OK");
        expect(await ready(daemon)).toMatchObject({
          state: "ok",
          store: { writable: true, last_error: null },
        });
        expect((await scrape(daemon)).get("stsmapd_store_writable")).toBe(1);
      } finally {
        execFileSync("umount", ["-l", disk]);
      }
    },
  );
});

describe("the TCP port", () => {
  it("serves metrics and health and nothing else", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world);
    const tcp = await tcpOf(daemon);
    const answers: [method: string, path: string, status: number][] = [
      ["GET", "/metrics", 200],
      ["GET", "/healthz", 200],
      ["GET", "/readyz", 200],
      ["GET", "/", 404],
      ["GET", "//", 400], // no URL
      ["GET", "/cache", 404],
      ["GET", `/cache/${D}`, 404],
      ["DELETE", `/cache/${D}`, 404],
      ["POST", `/cache/${D}/refresh`, 404],
      ["POST", "/refresh", 404],
      ["POST", "/import", 404],
      ["POST", "/metrics", 405],
    ];
    for (const [method, path, status] of answers)
      expect([method, path, (await get(tcp, path, method)).status]).toEqual([method, path, status]);
  });

  it("is not there unless it is configured", async () => {
    using home = new Home();
    await using daemon = await Daemon.start(
      ["-c", home.write("c.yaml", 'listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n')],
      home.environment(),
    );
    expect(await daemon.logged("ready")).not.toHaveProperty("metrics");
  });

  it("may be taken: the daemon answers without it and says so", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using first = await start(home, world);
    using other = new Home();
    const file =
      other.network(world) + LISTEN.replace(/(metrics: \{ listen: ").*"/, `$1${await tcpOf(first)}"`);
    await using second = await Daemon.start(["-c", other.write("c.yaml", file)], other.environment());
    expect(await ask(second, "192.0.2.1")).toBe("NOTFOUND");
    expect(await second.logged("metrics and health cannot be had over TCP")).toMatchObject({
      level: "error",
    });
  });
});

it("prints its state to the log on SIGUSR1", async () => {
  using home = new Home();
  await using world = await startWorld();
  await using daemon = await start(home, world, "dane: { enabled: false }\n");
  await ask(daemon, "nothing.example");
  daemon.signal("SIGUSR1");
  expect(await daemon.logged("state")).toMatchObject({
    ready: true,
    state: "ok",
    store: { writable: true },
    counters: { stsmapd_lookups_total: 1, stsmapd_resolutions_total: 1 },
  });
});

it("counts lines of the log that are lost", async () => {
  const lost = { count: 0 };
  const log = await createLogger({ level: "info", format: "json", lost }, openSync("/dev/full", "w"));
  log.info("one");
  log.info("two");
  expect(lost.count).toBe(2);
});

it("documents every metric, with its type and its labels", async () => {
  using home = new Home();
  using receiver = new DatagramReceiver();
  await using world = await startWorld();
  world.publish(D);
  world.host.respond(D, { status: 404 });
  await using daemon = await start(home, world, `tlsrpt: { collector: ${receiver.path} }\n`);
  await ask(daemon, D);
  await scrape(daemon);
  const { body } = await get(await tcpOf(daemon), "/metrics");
  const rows = readFileSync(new URL("../docs/metrics.md", import.meta.url), "utf8").matchAll(
    /^\| `((?:stsmapd|nodejs|process)_\w+)` \| (\w+) \| ([\w, ]*)\|/gm,
  );
  const documented = new Map(
    Array.from(rows, ([, name = "", type = "", labels = ""]) => [name, { type, labels }]),
  );
  const types = new Map(
    Array.from(body.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name = "", type]) => [name, type]),
  );
  expect(Object.fromEntries([...documented].map(([name, { type }]) => [name, type]))).toEqual(
    Object.fromEntries(types),
  );
  for (const series of parse(body).keys()) {
    const name = series.replace(/\{.*/, "");
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
    const labels = Array.from(series.matchAll(/(\w+)="/g), ([, label = ""]) => label).filter(
      (label) => label !== "le",
    );
    const known = documented.get(family)?.labels.trim().split(", ") ?? [];
    expect({ series, known }).toEqual({ series, known: expect.arrayContaining(labels) });
  }
});

/** Takes all the room there is. */
function fill(path: string): void {
  for (let size = 2 ** 16; size >= 512; size /= 2) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" });
    } catch {
      // Not by so much any more.
    }
  }
}

/** Root may, where the container allows it. */
function canMount(): boolean {
  using home = new Home();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", home.path], { stdio: "ignore" });
    execFileSync("umount", [home.path]);
    return true;
  } catch {
    return false;
  }
}
