/** Figures over hours in little memory: times of answers, and what a process takes. */
import { readdirSync, readFileSync } from "node:fs";

/** Each class of times is this much longer than the one before it. */
const STEP = 1.02;
/** Milliseconds: the first class. */
const LEAST = 0.01;
const CLASSES = 1_000;

/** Times of answers in milliseconds, to 2 %. */
export class Times {
  readonly #classes = new Uint32Array(CLASSES);
  count = 0;
  max = 0;

  add(time: number): void {
    const index = Math.ceil(Math.log(Math.max(time, LEAST) / LEAST) / Math.log(STEP));
    const at = Math.min(index, CLASSES - 1);
    this.#classes[at] = (this.#classes[at] ?? 0) + 1;
    this.count++;
    this.max = Math.max(this.max, time);
  }

  /** The time that the part `part` (0 to 1) of all did not exceed. */
  at(part: number): number {
    let left = this.count * part;
    const index = this.#classes.findIndex((count) => (left -= count) <= 0);
    return this.count === 0 ? 0 : LEAST * STEP ** index;
  }

  toJSON(): object {
    return { count: this.count, p50: this.at(0.5), p99: this.at(0.99), max: this.max };
  }
}

/** What a process takes at one moment. */
export interface ProcessSample {
  /** Seconds of CPU since it began. */
  readonly cpu: number;
  /** MiB. */
  readonly rss: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** Ticks a second of /proc; the same on every Linux we run on. */
const TICKS = 100;

/** Reads /proc of process `pid`. */
export function sampleProcess(pid: number): ProcessSample {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // proc(5): utime and stime are the 14th and 15th field; the second may hold spaces and ends with the last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS,
    rss: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    threads: Number(/^Threads:\s+(\d+)/m.exec(status)?.[1]),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** Least squares: by how much `y` grows for each one of `x`. 0 where there is nothing to tell from. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const x = mean(([value]) => value);
  const y = mean(([, value]) => value);
  const spread = mean(([value]) => (value - x) ** 2);
  return spread > 0 ? mean(([a, b]) => (a - x) * (b - y)) / spread : 0;
}

/** The part of a run, at its begin and at its end, whose least values are compared. */
const PART = 0.2;

/** By how much the least of the last fifth of `values` is above the least of the first: peaks that pass tell nothing. 0 of none. */
export function floorGrowth(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const length = Math.ceil(values.length * PART);
  return Math.min(...values.slice(-length)) - Math.min(...values.slice(0, length));
}
