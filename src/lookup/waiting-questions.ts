/** How many questions wait at once, of all clients together, and which of them goes when there are too many. */

/** One question that waits, between its neighbours in its client's line. */
interface Waiting {
  readonly line: Line;
  readonly turnAway: () => void;
  older: Waiting | undefined;
  newer: Waiting | undefined;
  hasLeft: boolean;
}

/** The questions of one client that wait. */
interface Line {
  readonly client: unknown;
  length: number;
  newest: Waiting | undefined;
}

/**
 * Bounds the questions that wait. Of one too many the newest in the longest line goes: whoever floods us pays for it, and as long as
 * anybody has two, nobody loses the only one. Every step takes the same time, however many wait.
 */
export class WaitingQuestions {
  readonly #most: number;
  readonly #lines = new Map<unknown, Line>();
  readonly #byLength = new Map<number, Set<Line>>();
  #longest = 0;
  #count = 0;

  /** @param most questions at once */
  constructor(most: number) {
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * One more question waits.
   *
   * @param client whoever asks, told apart by identity
   * @param turnAway called, perhaps at once, when the question is the one that goes
   * @returns to be called when it waits no longer; idempotent
   */
  enter(client: unknown, turnAway: () => void): () => void {
    const line = this.#lines.get(client) ?? { client, length: 0, newest: undefined };
    const waiting: Waiting = { line, turnAway, older: line.newest, newer: undefined, hasLeft: false };
    if (line.newest !== undefined) line.newest.newer = waiting;
    line.newest = waiting;
    this.#resize(line, 1);
    if (this.#count > this.#most) this.#turnOneAway(line);
    return () => this.#leave(waiting);
  }

  /** Among lines of the same length, that of whoever asks now. */
  #turnOneAway(asking: Line): void {
    const [first] = this.#byLength.get(this.#longest) ?? [];
    const loser = (asking.length === this.#longest ? asking : first)?.newest;
    if (loser === undefined) return;
    this.#leave(loser);
    loser.turnAway();
  }

  #leave(waiting: Waiting): void {
    if (waiting.hasLeft) return;
    waiting.hasLeft = true;
    const { line, older, newer } = waiting;
    if (older !== undefined) older.newer = newer;
    if (newer === undefined) line.newest = older;
    else newer.older = older;
    this.#resize(line, -1);
  }

  #resize(line: Line, change: 1 | -1): void {
    const before = line.length;
    line.length += change;
    this.#count += change;
    const left = this.#byLength.get(before);
    left?.delete(line);
    if (left?.size === 0) this.#byLength.delete(before);
    if (line.length === 0) {
      this.#lines.delete(line.client);
    } else {
      this.#lines.set(line.client, line);
      const now = this.#byLength.get(line.length);
      if (now === undefined) this.#byLength.set(line.length, new Set([line]));
      else now.add(line);
    }
    // One that was the longest alone is so still, by one less.
    if (line.length > this.#longest || !this.#byLength.has(this.#longest)) this.#longest = line.length;
  }
}
