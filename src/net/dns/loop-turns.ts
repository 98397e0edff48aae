/** Work that is ready all at once, spread over several turns of the event loop. */

/** Answers of DNS, each with a tenth of a millisecond of work behind it. */
const A_TURN = 8;

/**
 * Lets so many through in a turn of the event loop. Under a flood of unknown domains hundreds of answers come at once, and whoever
 * asks for a known domain would wait for what follows from all of them.
 */
export class LoopTurns {
  /** In this turn. Above 0 the next one is asked for. */
  #passed = 0;
  readonly #waiting: (() => void)[] = [];

  /** Resolves in this turn where there is room, else in one of the next, in order. */
  async pass(): Promise<void> {
    if (this.#passed === 0) this.#askForNext();
    if (this.#passed < A_TURN) {
      this.#passed++;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }

  #askForNext(): void {
    setImmediate(() => {
      const next = this.#waiting.splice(0, A_TURN);
      this.#passed = next.length;
      if (this.#passed > 0) this.#askForNext();
      for (const resolve of next) resolve();
    });
  }
}
