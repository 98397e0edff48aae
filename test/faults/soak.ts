/**
 * An hour, or a day, in the life of a busy relay's daemon, while DNS and policy hosts come and go:
 *
 *     npm run build && tools/runtime/node test/faults/soak.ts [--seconds 3600] [--rate 2000] [--domains 20000] [--json file]
 *
 * A line every minute, the figures at the end. Every answer is judged; the exit status is 1 where one was wrong.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { AdminClient } from "../../src/cli/admin-client.ts";
import { Home } from "../helpers/stsmapd.ts";
import { claim } from "./load.ts";
import { fillCache, SoakDaemon } from "./soak/daemon.ts";
import { floorGrowth, type ProcessSample, sampleProcess, slope } from "./soak/figures.ts";
import { Questions } from "./soak/questions.ts";
import { Sessions } from "./soak/sessions.ts";
import { SoakWorld } from "./soak/world.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "3600" },
    rate: { type: "string", default: "2000" },
    domains: { type: "string", default: "20000" },
    json: { type: "string" },
  },
});
const [seconds, rate, domains] = [Number(values.seconds), Number(values.rate), Number(values.domains)];

/** Milliseconds between two bursts of questions. */
const TICK = 10;
/** Questions without an answer at once; more are not asked. */
const MOST_OUTSTANDING = 2_000;
/** Seconds. */
const SAMPLE_EVERY = Math.min(10, seconds / 12);
const SCRAPE_EVERY = Math.min(15, seconds / 8);
const LINE_EVERY = Math.min(60, seconds / 6);
/** Seconds from one event to the next, and of an outage. */
const EVENT_EVERY = Math.min(60, seconds / 8);
const OUTAGE = EVENT_EVERY / 3;

const MOST_EXPLAINED = 20;

/** Shorter runs tell nothing of what grows. Seconds. */
const LONG_RUN = 1_800;
/** MiB an hour. */
const MOST_GROWTH = 10;
/** From the begin of the last two thirds to their end. */
const MOST_DESCRIPTORS = 5;

interface Sample extends ProcessSample {
  /** Seconds since the begin. */
  readonly at: number;
  /** MiB, as of the last scrape. */
  readonly heap: number;
  /** Connections of clients, each a descriptor of the daemon. */
  readonly clients: number;
}

/** Chance that is the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

using home = new Home();
const store = join(home.path, "cache.sqlite");
const random = seeded(8461);
await fillCache(store, domains, random);
await using world = await SoakWorld.start();
await using daemon = await SoakDaemon.start(home, store, world);
using sessions = new Sessions(daemon.socketmap, daemon.tcpTable, random);
/** What the daemon knew of the first domains that were answered wrong. */
const explained = new Map<string, string>();
const questions = new Questions(sessions, domains, random, (name) => void explain(name));
await questions.warmUp();
const begin = performance.now();
const elapsed = (): number => (performance.now() - begin) / 1000;
const isOver = (): boolean => elapsed() >= seconds || !daemon.isRunning || !world.isRunning;
const samples: Sample[] = [];
let heap = 0;
const running = new Set<Promise<void>>();
/** Questions that were due when too many had no answer: the machine was too busy for this rate. */
let notAsked = 0;
let eventName = "";

async function explain(name: string): Promise<void> {
  if (explained.has(name) || explained.size >= MOST_EXPLAINED) return;
  explained.set(name, "");
  try {
    const { state, record, history, next } = await new AdminClient(daemon.admin).show(name);
    const at = `${elapsed().toFixed(0)} s`;
    explained.set(name, JSON.stringify({ at, state, failure: record?.failure, history, next }));
  } catch (error) {
    explained.set(name, String(error));
  }
}

/** Resolves after so many seconds, or at the end. */
async function pause(duration: number): Promise<void> {
  const until = elapsed() + duration;
  while (elapsed() < until && !isOver()) await sleep(Math.min(100, Math.max(1, (until - elapsed()) * 1000)));
}

async function askAll(): Promise<void> {
  let due = 0;
  while (!isOver()) {
    for (const target = elapsed() * rate; due < target; due++) {
      if (running.size >= MOST_OUTSTANDING) {
        notAsked++;
        continue;
      }
      const question = questions.ask().finally(() => running.delete(question));
      running.add(question);
    }
    await sleep(TICK);
  }
}

async function outage(down: "dns-down" | "dns-silent" | "hosts-down"): Promise<void> {
  questions.outageBegins();
  await world.order(down);
  await pause(OUTAGE);
  await world.order(down === "hosts-down" ? "hosts-up" : "dns-up");
  questions.outageEnds();
}

async function changePolicies(): Promise<void> {
  // Told before it is known to be so: nobody may be told the new one earlier.
  await world.order("policies-change");
  questions.policiesChanged();
}

/** As an administrator does, who wants to see all of it. */
async function listCache(): Promise<void> {
  let known = 0;
  try {
    for await (const page of new AdminClient(daemon.admin).list({}))
      known += page.filter(({ domain }) => domain.startsWith("known")).length;
  } catch (error) {
    questions.error("no list of the cache", String(error));
    return;
  }
  if (known !== domains) questions.error("a list that is not whole", `${known} known domains`);
}

/**
 * In an order, and in a time, in which no domain meets two outages of the policy hosts one after the other: a fetch that fails is
 * tried again after five minutes and when somebody asks, which takes up to a minute and a half, and then only after ten.
 */
const EVENTS: readonly (readonly [name: string, run: () => Promise<void> | void])[] = [
  ["policies change", changePolicies],
  ["name server stopped and started", () => outage("dns-down")],
  ["SIGHUP", () => daemon.reload()],
  ["policy hosts stopped and started", () => outage("hosts-down")],
  ["policies change", changePolicies],
  ["name server silent", () => outage("dns-silent")],
  ["the cache listed", listCache],
  ["all clients hang up", () => sessions.hangUp()],
];

async function letThingsHappen(): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const [name, run] = EVENTS[turn % EVENTS.length] ?? ["", () => {}];
    const next = elapsed() + EVENT_EVERY;
    eventName = name;
    await run();
    await pause(next - elapsed());
  }
}

async function scrapeOften(): Promise<void> {
  while (!isOver()) {
    try {
      const page = await daemon.scrape();
      heap = Number(/^nodejs_heap_size_used_bytes (.+)$/m.exec(page)?.[1]) / 2 ** 20;
    } catch (error) {
      questions.error("no metrics", String(error));
    }
    await pause(SCRAPE_EVERY);
  }
}

async function sweepOften(): Promise<void> {
  for (; !isOver(); await pause(1)) sessions.sweep();
}

async function sampleOften(): Promise<void> {
  while (!isOver()) {
    samples.push({ at: elapsed(), heap, clients: sessions.open, ...sampleProcess(daemon.pid) });
    await pause(SAMPLE_EVERY);
  }
}

function errorCount(): number {
  return [...questions.errors.values()].reduce((sum, { count }) => sum + count, 0);
}

const COLUMNS = [
  "s",
  "asked",
  "errors",
  "p50 ms",
  "p99 ms",
  "RSS MiB",
  "heap MiB",
  "fds",
  "threads",
  "CPU %",
];

function line(cells: readonly (string | number)[]): void {
  console.log(cells.map((cell, n) => (n === cells.length - 1 ? cell : String(cell).padStart(9))).join(""));
}

async function tellOften(): Promise<void> {
  line([...COLUMNS, "  last event"]);
  for (let before = samples[0]; !isOver();) {
    await pause(LINE_EVERY);
    const last = samples.at(-1);
    if (last === undefined) continue;
    const used = before === undefined ? 0 : ((last.cpu - before.cpu) / (last.at - before.at)) * 100;
    before = last;
    const times = [questions.known.at(0.5), questions.known.at(0.99)].map((time) => time.toFixed(2));
    const sizes = [last.rss.toFixed(1), last.heap.toFixed(1), last.descriptors, last.threads];
    line([
      elapsed().toFixed(0),
      questions.asked,
      errorCount(),
      ...times,
      ...sizes,
      used.toFixed(0),
      `  ${eventName}`,
    ]);
  }
}

/** In an hour, over the late samples. */
function growth(of: (sample: Sample) => number): number {
  return slope(late().map((sample) => [sample.at / 3600, of(sample)] as const));
}

function late(): Sample[] {
  return samples.filter(({ at }) => at >= seconds / 3);
}

function report(): void {
  const slopes = {
    rss: growth(({ rss }) => rss),
    heap: growth((sample) => sample.heap),
    threads: growth(({ threads }) => threads),
  };
  // Hundreds more while questions to a silent name server wait.
  const descriptors = floorGrowth(late().map((sample) => sample.descriptors - sample.clients));
  const errors = Object.fromEntries(questions.errors);
  const { known, fresh, others, asked } = questions;
  console.log(
    `\n${asked} lookups on ${sessions.opened} connections in ${elapsed().toFixed(0)} s, ${domains} domains known`,
  );
  console.log(
    `${notAsked} questions not asked, for the machine was too busy; ${questions.late} new domains NOTFOUND, late`,
  );
  for (const [name, times] of Object.entries({ known, "never seen": fresh, others })) {
    const figures = [times.at(0.5), times.at(0.99), times.max].map((time) => time.toFixed(2));
    console.log(
      `${name}: ${times.count} answers, p50 ${figures[0]} ms, p99 ${figures[1]} ms, max ${figures[2]} ms`,
    );
  }
  console.log(`CPU ${(growth(({ cpu }) => cpu) / 36).toFixed(1)} % of a core, over the last two thirds`);
  console.log(
    `an hour would bring, by the last two thirds: RSS ${slopes.rss.toFixed(2)} MiB, heap ${slopes.heap.toFixed(2)} MiB,`,
    `threads ${slopes.threads.toFixed(2)}`,
  );
  console.log(`descriptors beside its clients' at least ${descriptors} more in the end`);
  console.log("lines of its log:", JSON.stringify(daemon.lines));
  for (const [what, { count, example }] of questions.errors) console.log(`  ${count} × ${what}: ${example}`);
  for (const [name, why] of explained) console.log(`  ${name}: ${why}`);
  for (const fault of daemon.faults) console.log(`  ${fault}`);
  claim("the daemon runs to the end", daemon.isRunning);
  claim("and so do its name server and policy hosts", world.isRunning);
  claim(`${errorCount()} errors`, errorCount() === 0);
  claim(`${daemon.faults.length} faults in its log`, daemon.faults.length === 0);
  if (seconds >= LONG_RUN) {
    claim(
      `RSS grows by ${slopes.rss.toFixed(2)} MiB an hour (at most ${MOST_GROWTH})`,
      slopes.rss <= MOST_GROWTH,
    );
    claim(
      `and descriptors beside its clients' by ${descriptors} in the last two thirds (at most ${MOST_DESCRIPTORS})`,
      descriptors <= MOST_DESCRIPTORS,
    );
  }
  if (values.json === undefined) return;
  const figures = { seconds, rate, domains, asked, connections: sessions.opened, known, fresh, others };
  const rest = {
    slopes,
    errors,
    explained: Object.fromEntries(explained),
    log: daemon.lines,
    faults: daemon.faults,
    samples,
  };
  writeFileSync(values.json, `${JSON.stringify({ ...figures, ...rest })}\n`);
}

await Promise.all([askAll(), letThingsHappen(), scrapeOften(), sweepOften(), sampleOften(), tellOften()]);
// Whoever still waits gets an answer within the daemon's deadline of 20 s.
await Promise.race([Promise.all(running), sleep(25_000, undefined, { ref: false })]);
if (running.size > 0) questions.error("unanswered", `${running.size} questions`);
report();
