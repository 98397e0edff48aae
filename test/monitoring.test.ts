/** Alerts and dashboard of docs/monitoring, against what a real Prometheus scraped from a real daemon. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { RawClient, SocketmapClient } from "./helpers/postfix-client.ts";
import { hasPrometheus, Prometheus, promtool } from "./helpers/prometheus.ts";
import { Daemon, Home } from "./helpers/stsmapd.ts";
import { startWorld, type World } from "./helpers/world.ts";
import {
  filledIn,
  readAlerts,
  readDashboard,
  RULES,
  RULES_TEST,
  selectorsOf,
} from "./monitoring/expressions.ts";

const alerts = readAlerts();
const { panels, templating } = readDashboard();
const panelExpressions = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

describe("an alert", () => {
  it.each(alerts.map((alert) => [alert.alert, alert] as const))(
    "%s says how grave it is, and which command comes next",
    (_, { labels, annotations }) => {
      expect(labels.severity).toMatch(/^(?:critical|warning|info)$/);
      expect(annotations.summary).not.toMatch(/\n|\.$/);
      expect(annotations.description).toMatch(/\bNext: .*[a-z]/);
    },
  );

  it("is tested, each of them", () => {
    const tests = readFileSync(RULES_TEST, "utf8");
    const tested = new Set(Array.from(tests.matchAll(/alertname="(\w+)"/g), ([, name]) => name));
    expect(tested).toEqual(new Set(alerts.map(({ alert }) => alert)));
  });

  it.skipIf(!hasPrometheus())(
    "fires where it should, and only there (needs prometheus)",
    () => {
      expect(promtool(["check", "rules", "--lint-fatal", RULES])).toContain("SUCCESS");
      expect(promtool(["test", "rules", RULES_TEST])).toContain("SUCCESS");
    },
    60_000,
  );
});

describe("the dashboard", () => {
  it("has panels that do not overlap, of their own numbers, on the data source that was chosen", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
    const sources = panels.map(({ type, datasource }) =>
      type === "row" ? "${datasource}" : datasource?.uid,
    );
    expect(new Set(sources)).toEqual(new Set(["${datasource}"]));
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(templating.list.map(({ name }) => name)).toEqual(["datasource", "instance"]);
  });

  it.each(panelExpressions)("%s shows the relays that were chosen: %s", (_, expression) => {
    for (const selector of selectorsOf(expression)) expect(selector).toContain('{instance=~"$instance"');
  });
});

describe.skipIf(!hasPrometheus())("in Prometheus (needs prometheus)", () => {
  let home: Home;
  let world: World;
  let daemon: Daemon;
  let prometheus: Prometheus;
  let page: string;

  beforeAll(async () => {
    home = new Home();
    world = await startWorld();
    daemon = await startDaemon(home, world);
    const address = String((await daemon.logged("ready"))["metrics"]);
    await makeTraffic(home, world, daemon);
    prometheus = await Prometheus.start(address, RULES);
    const scrapes = async () =>
      Number((await prometheus.query("count_over_time(stsmapd_ready[1m])"))[0]?.value[1] ?? 0);
    const isEnough = async () =>
      (await scrapes()) > 3 ? undefined : Promise.reject(new Error("no scrapes"));
    await vi.waitFor(isEnough, { timeout: 40_000, interval: 250 });
    page = await (await fetch(`http://${address}/metrics`)).text();
  }, 60_000);

  afterAll(async () => {
    await prometheus[Symbol.asyncDispose]();
    await daemon[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  it("every rule is evaluated without complaint", async () => {
    const good = alerts.map(({ alert }) => ({ name: alert, health: "ok" }));
    await expect.poll(() => prometheus.rules(), { timeout: 10_000 }).toMatchObject(good);
  });

  it.each(alerts.map(({ alert, expr }) => [alert, expr] as const))(
    "the alert %s asks for what there is",
    async (_, expression) => {
      await prometheus.query(expression);
      const selectors = selectorsOf(expression);
      expect(selectors).not.toEqual([]);
      for (const selector of selectors)
        expect([selector, await prometheus.series(selector)]).toEqual([selector, expect.toSatisfy(isSome)]);
    },
  );

  it.each(panelExpressions)("the panel %s shows something: %s", async (_, expression) => {
    const query = filledIn(expression);
    for (const selector of selectorsOf(query))
      expect([selector, await prometheus.series(selector)]).toEqual([selector, expect.toSatisfy(isSome)]);
    expect(await prometheus.query(query)).not.toEqual([]);
  });

  it("would notice a metric that is not there, and an expression that is wrong", async () => {
    expect(await prometheus.series("stsmapd_redy")).toBe(0);
    expect(await prometheus.series('stsmapd_lookups_total{result="tmep"}')).toBe(0);
    await expect(prometheus.query("sum by (result (stsmapd_lookups_total)")).rejects.toThrow("parse error");
  });

  it("every metric of our own is looked at by an alert or a panel", () => {
    const families = Array.from(page.matchAll(/^# TYPE (stsmapd_\w+) /gm), ([, name = ""]) => name);
    const expressions = [...alerts.map(({ expr }) => expr), ...panelExpressions.map(([, expr]) => expr)];
    const used = (name: string) =>
      expressions.some((expr) => new RegExp(`\\b${name}(?:_bucket|_count|_sum)?\\b`).test(expr));
    expect(families.filter((name) => !used(name))).toEqual([]);
  });

  it("promtool finds no fault with their names and texts", () => {
    const own = page.split("\n").filter((line) => /^(?:# \w+ )?stsmapd_/.test(line));
    expect(promtool(["check", "metrics"], `${own.join("\n")}\n`)).toBe("");
  });
});

describe("selectorsOf", () => {
  it.each<[expression: string, selectors: string[]]>([
    ["up == 0", ["up"]],
    ["sum by (le, instance) (rate(a_total[5m])) / b", ["a_total", "b"]],
    ['a{x="y, z"} and on (instance) time() - b < 86400', ['a{x="y, z"}', "b"]],
    ["increase(a[$__rate_interval]) > 1e6 or b * 1024", ["a", "b"]],
  ])("of %s", (expression, selectors) => {
    expect(selectorsOf(expression)).toEqual(selectors);
  });
});

const isSome = (count: unknown) => Number(count) > 0;

function startDaemon(home: Home, world: World): Promise<Daemon> {
  const text = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]
metrics: { listen: "127.0.0.1:0" }
store: { path: ${storeOf(home)} }
tlsrpt: { collector: ${home.path}/nobody }
`;
  return Daemon.start(["-c", home.write("c.yaml", home.network(world) + text)], home.environment());
}

function storeOf(home: Home): string {
  return join(home.path, "cache.sqlite");
}

/** Every series that an expression asks for comes with the first event of its kind. */
async function makeTraffic(home: Home, world: World, daemon: Daemon): Promise<void> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  world.publish("d.example");
  world.publish("dead.example");
  world.host.respond("dead.example", { status: 404 });
  world.dns.zone.txt("_smtp._tls.dead.example", "v=TLSRPTv1; rua=mailto:reports@dead.example");
  world.dns.behave("_mta-sts.broken.example", "servfail");
  for (const name of ["d", "d", "dead", "broken", "nothing"])
    await client.query("postfix", `${name}.example`);
  await daemon.logged("TLSRPT reports are lost: collector absent");
  const other = new Database(storeOf(home));
  other.exec("ALTER TABLE domain RENAME TO away");
  expect(await client.query("postfix", "unreadable.example")).toMatchObject({ status: "TEMP" });
  other.exec("ALTER TABLE away RENAME TO domain");
  other.close();
  const raw = await RawClient.connect(daemon.addresses[0]!);
  raw.socket.write("no netstring");
  await raw.closed;
}
