/** Work that is ready all at once, spread over several turns of the event loop. */

/** Let through in a turn at least. Behind each is a tenth of a millisecond of work. */
const A_TURN = 8;

/** Of those who wait, the part let through at once: where turns are long for another reason, a backlog still ends soon. */
const PART_OF_BACKLOG = 1 / 8;

/**
 * Lets few through in a turn of the event loop. Under a flood of unknown domains hundreds of answers come at once, and whoever
 * asks for a known domain would wait for what follows from all of them.
 */
export class LoopTurns {
  /** Let through in this turn; while it is above 0, a next turn is asked for. */
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
      const share = Math.floor(this.#waiting.length * PART_OF_BACKLOG);
      const next = this.#waiting.splice(0, Math.max(A_TURN, share));
      this.#passed = next.length;
      if (this.#passed > 0) this.#askForNext();
      for (const resolve of next) resolve();
    });
  }
}
