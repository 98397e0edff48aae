/** Counts and times what happens, in plain fields: to add costs no more than an addition. prometheus.ts makes text of it. */

type Labels<Name extends string> = Readonly<Record<Name, string>>;

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One number of a counter. Whoever adds often keeps it. */
export interface Cell {
  count: number;
}

/** Only goes up. Its labels come from closed sets: never a domain, nor anything else that a stranger chooses. */
export class Counter<Name extends string = never> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly Name[];
  readonly #cells = new Map<string, Cell & { readonly labels: Labels<Name> }>();

  constructor(name: string, help: string, labelNames: readonly Name[]) {
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
  }

  /** The number for these labels; it is shown from now on, be it 0. */
  cell(labels: Labels<Name>): Cell {
    const key = this.labelNames.map((name) => labels[name]).join("\0");
    let cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, (cell = { labels, count: 0 }));
    return cell;
  }

  add(labels: Labels<Name>, count = 1): void {
    this.cell(labels).count += count;
  }

  samples(): Sample[] {
    return Array.from(this.#cells.values(), ({ labels, count }) => ({ labels, value: count }));
  }

  get total(): number {
    return this.samples().reduce((sum, { value }) => sum + value, 0);
  }
}

/** How long something took. */
export class Histogram {
  readonly name: string;
  readonly help: string;
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  /** What fell under each bound but under none before; the last is for what is above all. */
  readonly counts: Float64Array;
  /** Seconds. */
  sum = 0;

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(milliseconds: number): void {
    const seconds = milliseconds / 1000;
    let index = 0;
    while (index < this.bounds.length && seconds > (this.bounds[index] ?? 0)) index++;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += seconds;
  }
}

/** What is so at the moment; looked at only when somebody asks. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: () => readonly Sample[] | Promise<readonly Sample[]>;
}

/** All that this process measures. */
export class Metrics {
  readonly counters: Counter<string>[] = [];
  readonly histograms: Histogram[] = [];
  readonly gauges: Gauge[] = [];

  counter<const Name extends string>(name: string, help: string, labelNames: readonly Name[]): Counter<Name> {
    const counter = new Counter(name, help, labelNames);
    this.counters.push(counter);
    return counter;
  }

  /** A counter without labels. */
  count(name: string, help: string): Cell {
    return this.counter(name, help, []).cell({});
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(name, help, bounds);
    this.histograms.push(histogram);
    return histogram;
  }

  /** A gauge without labels. What is not known is NaN. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void {
    const samples = async () => [{ labels: {}, value: await read() }];
    this.gauges.push({ name, help, labelNames: [], read: samples });
  }

  /** A gauge with one label and a number for each of its values. */
  gaugeBy(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>,
  ): void {
    const samples = async () =>
      Object.entries(await read()).map(([key, value]) => ({ labels: { [label]: key }, value }));
    this.gauges.push({ name, help, labelNames: [label], read: samples });
  }

  /** The sum of each counter over its labels. */
  totals(): Record<string, number> {
    return Object.fromEntries(this.counters.map(({ name, total }) => [name, total]));
  }
}
