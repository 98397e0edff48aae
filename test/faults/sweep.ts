/**
 * 200,000 stored policies, all due for renewal, while Postfix goes on asking for others:
 * `node test/faults/sweep.ts [seconds] [rows]`. The daemon's part runs in a process of its own, with a resolver and policy
 * hosts that answer after some milliseconds.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NO_DANE } from "../../src/lookup/dane/dane-source.ts";
import { LookupEngine } from "../../src/lookup/engine.ts";
import type { LookupEvents } from "../../src/lookup/events.ts";
import { MapLookup } from "../../src/lookup/maps.ts";
import { Overrides } from "../../src/lookup/overrides.ts";
import { runRefresher } from "../../src/lookup/refresher.ts";
import type { PolicyFetcher } from "../../src/net/policy-host/policy-fetcher.ts";
import type { DnsAnswer, RecordType, Resolver } from "../../src/net/dns/resolver.ts";
import { listen } from "../../src/server/listener.ts";
import { socketmap } from "../../src/server/socketmap.ts";
import { openStore } from "../../src/store/open-store.ts";
import { DAY, HOUR, MINUTE } from "../helpers/clock.ts";
import { DEFAULTS, MAPS } from "../helpers/world.ts";
import { entry, pin } from "../store/entries.ts";
import { claim, Clients, Latencies, steadily } from "./load.ts";

const WARM = 1_000;
/** Seconds of quiet, then of sweep. */
const TURN = 5;
/** Milliseconds. */
const DNS_TAKES = 5;
const FETCH_TAKES = 25;
/** As the daemon has them. */
const REFRESHER = {
  unusedAfter: 60 * DAY,
  fastestPace: 20,
  slowestPace: 2_000,
  lookInterval: 5_000,
  concurrency: 16,
  shortestSleep: 1_000,
  longestSleep: 10_000,
  countInterval: 5 * MINUTE,
  unwrittenRest: 5 * MINUTE,
  tidyInterval: HOUR,
  keepSpent: DAY,
};

const SILENT: LookupEvents = {
  resolved: () => {},
  deadlinePassed: () => {},
  turnedAway: () => {},
  heldBack: () => {},
  storeFailed: (operation, domain, error) => console.error(operation, domain, error),
  failed: (domain, error) => console.error(domain, error),
};

interface Figures {
  readonly started: number;
  readonly mostAtOnce: number;
  /** Bytes. */
  readonly rss: number;
}

/**
 * Due by anything up to a day, last used on any of the last 59 days, and so near their end that renewals go at the fastest
 * pace.
 */
async function fill(path: string, rows: number): Promise<void> {
  const now = Date.now();
  const store = openStore({ path, now: () => now, examine: false });
  const left = 4 * rows * REFRESHER.fastestPace;
  for (let from = 0; from < rows; from += 10_000) {
    const put = (n: number) => {
      const fetchedAt = now - 5 * DAY;
      const usedAt = now - (n % 59) * DAY;
      const times = { fetchedAt, renewAt: now - (n % DAY), expiresAt: now + left };
      const due = pin({ mx: [`mx.d${n}.example`], ...times });
      return store.put(
        entry(`d${n}.example`, { pin: due, checkedAt: fetchedAt, checkAt: fetchedAt, usedAt }),
      );
    };
    await Promise.all(Array.from({ length: Math.min(10_000, rows - from) }, (_, n) => put(from + n)));
  }
  const warm = (n: number) =>
    entry(`warm${n}.example`, {
      pin: pin({ fetchedAt: now }),
      checkedAt: now,
      checkAt: now + DAY,
      usedAt: now,
    });
  await Promise.all(Array.from({ length: WARM }, (_, n) => store.put(warm(n))));
  await store.close();
}

/** The daemon's part: tells its address, starts the sweep and reports on it when it is asked to. */
async function serve(path: string): Promise<void> {
  const store = openStore({ path, now: Date.now });
  const figures = { started: 0, mostAtOnce: 0 };
  const engine = new LookupEngine({
    resolver: slowResolver(),
    fetcher: slowFetcher(),
    store,
    dane: NO_DANE,
    events: SILENT,
    freshness: DEFAULTS.freshness,
    options: { ...DEFAULTS.store, ...DEFAULTS.lookup, commitTimeout: 5_000, mostWaiting: 50_000 },
    now: Date.now,
    random: Math.random,
  });
  let atOnce = 0;
  const refresh = async (domain: string): Promise<void> => {
    figures.started++;
    figures.mostAtOnce = Math.max(figures.mostAtOnce, ++atOnce);
    await engine.renew(domain);
    atOnce--;
  };
  const service = new MapLookup(engine, { maps: MAPS, overrides: new Overrides([], () => {}) }, Date.now);
  const events = { onViolation: () => {}, onAcceptError: () => {}, onFullChange: () => {} };
  const server = await listen({ address: "127.0.0.1:0" }, socketmap(service), events);
  let stop = new AbortController();
  let sweep = Promise.resolve();
  const answer = async (message: unknown): Promise<void> => {
    if (message === "sweep") {
      stop = new AbortController();
      const deps = { store, refresh, events: SILENT, now: Date.now, options: REFRESHER };
      sweep = runRefresher(deps, stop.signal);
    } else {
      stop.abort();
      await sweep;
    }
    const report: Figures = { ...figures, rss: process.memoryUsage.rss() };
    process.send?.(report);
  };
  process.on("message", (message) => void answer(message));
  process.send?.(server.address);
}

function slowResolver(): Resolver {
  return {
    async resolve<T extends RecordType>(name: string) {
      await sleep(DNS_TAKES);
      const records = ["v=STSv1; id=20261121;"];
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Only TXT is asked for.
      return {
        records,
        canonicalName: name,
        nameMissing: false,
        ttl: 300,
        authenticated: false,
      } as unknown as DnsAnswer<T>;
    },
  };
}

function slowFetcher(): PolicyFetcher {
  return {
    async fetch(domain) {
      await sleep(FETCH_TAKES);
      const { text, mode, maxAge, mx } = pin({ mx: [`mx.${domain}`] });
      return { policy: { mode, maxAge, mx }, text, trace: { url: "", durationMs: FETCH_TAKES } };
    },
  };
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

async function measure(path: string, seconds: number, rows: number): Promise<void> {
  await fill(path, rows);
  const child = fork(import.meta.filename, ["serve", path], { stdio: "inherit" });
  const message = async <T>(text: string): Promise<T> => {
    const answered = once(child, "message");
    child.send(text);
    const [answer]: T[] = await answered;
    if (answer === undefined) throw new TypeError("no answer");
    return answer;
  };
  const [address]: string[] = await once(child, "message");
  using clients = new Clients(address ?? "");
  const ask = async (latencies: Latencies, duration: number): Promise<number> => {
    let lost = 0;
    await steadily(1_000, duration, async (n) => {
      const { status } = await latencies.time(() => clients.ask(`warm${n % WARM}.example`));
      if (status !== "OK") lost++;
    });
    return lost;
  };
  // Filled into memory, and the search for damage at the start done.
  await ask(new Latencies(), 5_000);
  const [quiet, sweep] = [new Latencies(), new Latencies()];
  const before = await message<Figures>("rest");
  let after = before;
  let lost = 0;
  // In turns, so that what else the machine does counts for both.
  for (let passed = 0; passed < seconds; passed += TURN) {
    lost += await ask(quiet, TURN * 1000);
    await message("sweep");
    lost += await ask(sweep, TURN * 1000);
    after = await message<Figures>("rest");
  }
  child.kill();

  const rate = after.started / seconds;
  const allowed = 1000 / REFRESHER.fastestPace;
  console.log(`${rows} policies due, 1,000 questions a second for ${seconds} s`);
  console.log(`quiet: ${quiet.summary()}`);
  console.log(`sweep: ${sweep.summary()}`);
  claim(
    `p99 in the sweep is ${(sweep.at(0.99) / quiet.at(0.99)).toFixed(2)} times the quiet one (at most 3)`,
    sweep.at(0.99) <= 3 * quiet.at(0.99),
  );
  claim(`${lost} warm questions were not answered with their policy`, lost === 0);
  claim(
    `${rate.toFixed(1)} renewals a second (at most ${allowed}, and at least half of that)`,
    rate <= allowed && rate > allowed / 2,
  );
  claim(
    `at most ${after.mostAtOnce} renewals at once (of ${REFRESHER.concurrency} allowed)`,
    after.mostAtOnce <= REFRESHER.concurrency,
  );
  const grown = after.rss - before.rss;
  claim(
    `RSS ${megabytes(before.rss)} MiB before, ${megabytes(after.rss)} MiB after (at most 64 MiB more)`,
    grown < 64 * 2 ** 20,
  );
}

const [first = "30", second = "200000"] = process.argv.slice(2);
if (first === "serve") {
  await serve(second);
} else {
  const folder = mkdtempSync(join(tmpdir(), "stsmapd-sweep-"));
  try {
    await measure(join(folder, "cache.sqlite"), Number(first), Number(second));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
