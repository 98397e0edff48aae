/** A month in the life of a relay, in which everything that can fail does, from one seed. */
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { PolicyStore } from "../../../src/store/store.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../../helpers/clock.ts";
import { SeededRandom } from "../../helpers/seeded-random.ts";
import { MAPS } from "../../helpers/world.ts";
import { Disk, type DiskFault, type Guard } from "./disk.ts";
import { Internet } from "./internet.ts";
import { Model } from "./model.ts";
import { LookupProcess } from "./process.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface MonthOptions {
  readonly seed: number;
  readonly days: number;
  /** Refuses calls of the store, beside what befalls the disk. */
  readonly guard?: Guard;
  /** Where rows are kept; in memory by default. */
  readonly platter?: PolicyStore;
}

export interface MonthReport {
  readonly violations: readonly string[];
  readonly counts: Model["counts"];
}

const DOMAINS = 40;
const START = Date.UTC(2026, 10, 1);
const PROFILE = MAPS.get("postfix")!;
const DISK_FAULTS: readonly DiskFault[] = ["full", "io", "busy", "hung", "unreadable", "unreadable"];
/** Mean times between two such events, in milliseconds. */
const BETWEEN = {
  lookup: 5 * MINUTE,
  storm: DAY,
  befalling: 2 * HOUR,
  outage: 3 * DAY,
  diskFault: 8 * HOUR,
  end: 2 * DAY,
  step: 4 * DAY,
  command: 12 * HOUR,
};

class Month {
  readonly model: Model;
  readonly #random: SeededRandom;
  readonly #time: VirtualTime;
  readonly #internet: Internet;
  readonly #disk: Disk;
  #process: LookupProcess | undefined;

  constructor({ seed, guard, platter = new MemoryStore() }: MonthOptions, time: VirtualTime) {
    const random = new SeededRandom(seed);
    const addresses = new Map<string, string>();
    this.#random = random;
    this.#time = time;
    this.model = new Model(time, (domain) => addresses.get(domain) ?? "");
    this.#internet = new Internet(DOMAINS, random, this.model);
    for (const { domain, address } of this.#internet.sites) addresses.set(domain, address);
    this.#disk = new Disk(platter, this.model, () => 1 + random.below(50), guard);
    this.#start();
  }

  plan(): void {
    this.#often(BETWEEN.lookup, () => this.#lookup(this.#anySite()));
    this.#often(BETWEEN.storm, () => {
      for (const { domain } of this.#internet.sites) this.#lookup(domain);
    });
    this.#often(BETWEEN.befalling, () => this.#internet.befall());
    this.#often(BETWEEN.outage, () => this.#during(6 * HOUR, (isOn) => (this.#internet.isDown = isOn)));
    this.#often(BETWEEN.diskFault, () => {
      const fault = this.#random.pick(DISK_FAULTS);
      this.#during(HOUR / 2, (isOn) => (this.#disk.fault = isOn ? fault : undefined));
    });
    this.#often(BETWEEN.end, () => (this.#random.chance(0.7) ? this.#crash() : void this.#restart()));
    this.#often(BETWEEN.step, () => this.#step());
    this.#often(BETWEEN.command, () => void this.#command(this.#anySite()));
  }

  #often(mean: number, happen: () => void): void {
    const next = (): void => {
      happen();
      this.#time.schedule(this.#random.exponential(mean), next);
    };
    this.#time.schedule(this.#random.exponential(mean), next);
  }

  /** Has something last for up to `longest` milliseconds. */
  #during(longest: number, set: (isOn: boolean) => void): void {
    set(true);
    this.#time.schedule(this.#random.next() * longest, () => set(false));
  }

  /** Some are asked for often, some once in a while. */
  #anySite(): string {
    const { sites } = this.#internet;
    return sites[Math.floor(this.#random.next() ** 2 * sites.length)]?.domain ?? "";
  }

  #lookup(domain: string): void {
    const process = this.#process;
    if (process === undefined || process.isStopping) return;
    const lookup = this.model.looksUp(domain);
    void Promise.resolve(process.engine.lookup(domain, PROFILE)).then((reply) =>
      this.model.answered(domain, lookup, reply, process.isStopping),
    );
  }

  async #command(domain: string): Promise<void> {
    const process = this.#process;
    if (process === undefined || process.isStopping) return;
    this.model.commanded(domain, true);
    await process.engine.refetch(domain);
    if (this.#process === process) this.model.commanded(domain, false);
  }

  #step(): void {
    const milliseconds = (this.#random.chance(0.5) ? 1 : -1) * (2 * MINUTE + this.#random.below(12 * HOUR));
    this.#time.step(milliseconds);
    this.model.stepped(milliseconds);
    void this.#process?.clockStepped();
  }

  #start(): void {
    const { now } = this.#time;
    const onFault = (domain: string, error: unknown): void => this.model.fault(domain, error);
    // What it says excuses nothing while nothing is wrong with the disk.
    const onUnwritten = (domain: string): void => {
      if (this.#disk.fault !== undefined) this.model.unwritten(domain);
    };
    const network = this.#internet.connect();
    const store = this.#disk.open();
    this.#process = new LookupProcess({
      store,
      ...network,
      now,
      random: this.#random.next,
      onUnwritten,
      onFault,
    });
  }

  /** The process dies at once, as by kill -9, and comes back. */
  #crash(): void {
    if (this.#process === undefined) return;
    this.#process = undefined;
    this.#time.endProcess();
    this.model.ended((domain) => this.#disk.row(domain));
    this.#time.schedule(this.#random.below(10 * SECOND), () => this.#start());
  }

  /** The process is stopped in all order, and started anew. */
  async #restart(): Promise<void> {
    const process = this.#process;
    if (process === undefined || process.isStopping) return;
    await process.stop();
    if (this.#process === process) this.#crash();
  }
}

/** The same seed gives the same month. Meanwhile no timer of this JavaScript thread runs on real time. */
export async function simulateMonth(options: MonthOptions): Promise<MonthReport> {
  using time = new VirtualTime(START);
  const month = new Month(options, time);
  month.plan();
  while (time.passed < options.days * DAY) await time.fireNext();
  time.endProcess();
  const { violations, counts } = month.model;
  return { violations, counts };
}
