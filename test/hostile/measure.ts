/** One attack on a daemon of its own: what it costs, and what a well-behaved client notices. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fillCache, SoakDaemon } from "../faults/soak/daemon.ts";
import { type ProcessSample, sampleProcess, Times } from "../faults/soak/figures.ts";
import { Questions } from "../faults/soak/questions.ts";
import { Sessions } from "../faults/soak/sessions.ts";
import { nameOf, toldVersion } from "../faults/soak/names.ts";
import { SoakWorld } from "../faults/soak/world.ts";
import { SocketmapClient, TcpTableClient } from "../helpers/postfix-client.ts";
import { Home } from "../helpers/stsmapd.ts";
import type { Attack, Seen } from "./attack.ts";
import { AttackerProcess } from "./attacker.ts";

const KNOWN = 100;
/** Connections of the well-behaved client, half of them of each protocol; milliseconds between answer and question. */
const CLIENTS = 8;
const PAUSE = 20;
/** Milliseconds between two looks at the process. */
const LOOK = 100;
/** Milliseconds in which descriptors must come back, and memory may. */
const RECOVERY = 10_000;
/** Descriptors that are left where few are. */
const FEW = 50;

export interface Outcome {
  readonly attack: Attack;
  readonly seen: Seen;
  readonly before: ProcessSample;
  /** The highest of each. */
  readonly peak: ProcessSample;
  readonly after: ProcessSample;
  /** Part of a core, in the second half of the attack. */
  readonly cpu: number;
  /** Of the well-behaved client. */
  readonly quiet: Times;
  readonly during: Times;
  /** Wrong answers that the well-behaved client got, before, meanwhile and afterwards, on old and on new connections. */
  readonly wrong: readonly string[];
  /** Lines of its log that tell of a fault of its own. */
  readonly logged: readonly string[];
}

export interface MeasureOptions {
  /** The program. */
  readonly main: string;
  /** See Target. */
  readonly scale: number;
  /** Of the attack's duration, and of the time before it. */
  readonly hurry: number;
}

export async function measure(attack: Attack, { main, scale, hurry }: MeasureOptions): Promise<Outcome> {
  using home = new Home();
  const store = join(home.path, "cache.sqlite");
  await fillCache(store, KNOWN, () => 0.5);
  await using world = await SoakWorld.start();
  await using daemon = await SoakDaemon.start(home, store, world, main);
  await warmUp(daemon);
  await using attacker = await AttackerProcess.start();
  using client = await WellBehaved.connect(daemon);

  const duration = attack.duration * hurry;
  const quiet = await client.ask(sleep(duration / 2));
  const before = sampleProcess(daemon.pid);
  if (attack.surroundings === "dns-silent") await world.order("dns-silent");
  if (attack.surroundings === "few-descriptors") limitDescriptors(daemon.pid, before.descriptors + FEW);

  const { socketmap, tcpTable } = daemon;
  attacker.attack({ name: attack.name, target: { socketmap, tcpTable, scale } });
  const watched = watch(daemon.pid, duration);
  const during = await client.ask(watched);
  const { peak, cpu } = await watched;
  const seen = await attacker.stop();
  await attacker[Symbol.asyncDispose]();
  if (attack.surroundings === "dns-silent") await world.order("dns-up");

  for (let passed = 0; passed < RECOVERY * hurry; passed += LOOK) await sleep(LOOK);
  for (let passed = 0; passed < RECOVERY; passed += LOOK) {
    if (sampleProcess(daemon.pid).descriptors <= before.descriptors) break;
    await sleep(LOOK);
  }
  const after = sampleProcess(daemon.pid);
  using newcomer = await WellBehaved.connect(daemon);
  await Promise.all([client.ask(sleep(200)), newcomer.ask(sleep(200))]);
  const wrong = [...client.wrong, ...newcomer.wrong];
  return { attack, seen, before, peak, after, cpu, quiet, during, wrong, logged: daemon.faults };
}

/** Has the daemon find out all there is to know of the known domains. */
async function warmUp(daemon: SoakDaemon): Promise<void> {
  using sessions = new Sessions(daemon.socketmap, daemon.tcpTable, () => 0.5);
  const questions = new Questions(sessions, KNOWN, () => 0.5);
  await questions.warmUp();
  for (const [what, { example }] of questions.errors) throw new Error(`${what}: ${example}`);
}

/** By prlimit(1): the process counted what it may have at its start. */
function limitDescriptors(pid: number, limit: number): void {
  execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}`]);
}

async function watch(pid: number, duration: number): Promise<{ peak: ProcessSample; cpu: number }> {
  const samples: ProcessSample[] = [];
  const begin = performance.now();
  let middle: { readonly at: number; readonly cpu: number } | undefined;
  while (performance.now() - begin < duration) {
    await sleep(LOOK);
    const sample = sampleProcess(pid);
    samples.push(sample);
    const at = performance.now();
    if (at - begin >= duration / 2) middle ??= { at, cpu: sample.cpu };
  }
  const most = (of: (sample: ProcessSample) => number): number => Math.max(...samples.map(of));
  const peak = {
    rss: most(({ rss }) => rss),
    descriptors: most(({ descriptors }) => descriptors),
    threads: most(({ threads }) => threads),
    cpu: most(({ cpu }) => cpu),
  };
  const since = middle ?? { at: begin, cpu: 0 };
  return { peak, cpu: (peak.cpu - since.cpu) / ((performance.now() - since.at) / 1_000) };
}

interface Teller extends Disposable {
  /** What is said of the key. */
  tell(key: string): Promise<string>;
}

/** Asks for known domains as Postfix does, on connections that it keeps. */
class WellBehaved implements Disposable {
  readonly wrong: string[] = [];
  readonly #clients: readonly Teller[];
  #asked = 0;

  private constructor(clients: readonly Teller[]) {
    this.#clients = clients;
  }

  static async connect({ socketmap, tcpTable }: SoakDaemon): Promise<WellBehaved> {
    const connecting = Array.from({ length: CLIENTS }, async (_, n) => {
      if (n % 2 === 0) {
        const client = await SocketmapClient.connect(socketmap);
        const tell = async (key: string) => (await client.query("postfix", key)).text;
        return { tell, [Symbol.dispose]: () => client[Symbol.dispose]() };
      }
      const client = await TcpTableClient.connect(tcpTable);
      const tell = async (key: string) => (await client.query(key)).text;
      return { tell, [Symbol.dispose]: () => client[Symbol.dispose]() };
    });
    return new WellBehaved(await Promise.all(connecting));
  }

  /** Asks until `end` is there. */
  async ask(end: Promise<unknown>): Promise<Times> {
    const times = new Times();
    const over = new AbortController();
    const asking = this.#clients.map(async (client) => {
      while (!over.signal.aborted) {
        await this.#askOne(client, times);
        await sleep(PAUSE);
      }
    });
    await end;
    over.abort();
    await Promise.all(asking);
    return times;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client[Symbol.dispose]();
  }

  async #askOne(client: Teller, times: Times): Promise<void> {
    const domain = { kind: "known", number: this.#asked++ % KNOWN } as const;
    const start = performance.now();
    try {
      const text = await client.tell(nameOf(domain));
      times.add(performance.now() - start);
      if (toldVersion(domain, text) !== 0) this.wrong.push(`${nameOf(domain)}: ${text}`);
    } catch (error) {
      this.wrong.push(`${nameOf(domain)}: ${String(error)}`);
    }
  }
}
