/** Which blocks of the code were run, from V8's own counters: no instrumented build and no package is needed. */
import { Session, type Profiler } from "node:inspector";

/** The code under test and what it stands on: what is run of the fuzzer itself means nothing. */
const OF_INTEREST = /\/src\/|\/node_modules\/(?:dns-packet|ipaddr\.js|yaml|zod)\//;

export class BlockCoverage implements Disposable {
  readonly #session = new Session();
  readonly #seen = new Set<string>();
  #isOn = true;

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** How many blocks were seen to run. */
  get seen(): number {
    return this.#seen.size;
  }

  /** Whether a block was run since the last look that was never noted. */
  sawNew(): boolean {
    return this.#newBlocks().length > 0;
  }

  /** The same, and notes such blocks. */
  noteNew(): boolean {
    const blocks = this.#newBlocks();
    for (const block of blocks) this.#seen.add(block);
    return blocks.length > 0;
  }

  /** Counts no more, so that V8 is as fast as ever. Nothing is new from then on. */
  stop(): void {
    if (this.#isOn) this.#session.post("Profiler.stopPreciseCoverage");
    this.#isOn = false;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  #newBlocks(): string[] {
    const blocks: string[] = [];
    for (const { url, functions } of this.#take()) {
      if (!OF_INTEREST.test(url)) continue;
      for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
        const block = `${url} ${startOffset} ${endOffset}`;
        if (count > 0 && !this.#seen.has(block)) blocks.push(block);
      }
    }
    return blocks;
  }

  #take(): Profiler.ScriptCoverage[] {
    let result: Profiler.ScriptCoverage[] = [];
    if (!this.#isOn) return result;
    // Answered before post() returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, report) => {
      if (error !== null) throw error;
      ({ result } = report);
    });
    return result;
  }
}
