/** Who may resolve a domain now, and who waits for it: so many at once, and those who wait take turns by client. */

/** It never began: whoever asked for it has given up, or we stop. Nobody need be told. */
export class TurnGivenUp extends Error {
  override readonly name = "TurnGivenUp";
}

/** One domain's place, perhaps in the lines of several clients. */
export interface Turn {
  /** Resolves when the work may begin, already where there was room. Rejects with {@link TurnGivenUp}, so it is to be awaited. */
  readonly begun: Promise<void>;
  /** One more waits for the same domain: it need not wait for its turn in another's line. */
  join(client: unknown): void;
  /** One of those who asked waits no longer. A turn that nobody waits for is given up, unless it has begun: then true. */
  leave(): boolean;
  /** The work is done. Once, and only after it has begun. */
  end(): void;
}

interface Place {
  /** In the lines of these clients, each once. Empty: it has begun, or was given up. */
  clients: unknown[];
  askers: number;
  readonly begin: () => void;
  readonly giveUp: () => void;
}

/**
 * Gives out turns. Clients that wait are served in turn, each in the order it asked: whoever asks for thousands of domains
 * delays another's single one by one domain, and not by thousands.
 */
export class Turns {
  #free: number;
  readonly #size: number;
  /** By client, the one to be served next first. None is empty. */
  readonly #lines = new Map<unknown, Set<Place>>();
  readonly #waiting = new Set<Place>();

  /** @param size turns at once */
  constructor(size: number) {
    this.#size = size;
    this.#free = size;
  }

  get running(): number {
    return this.#size - this.#free;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** @param client whoever asks, told apart by identity */
  take(client: unknown): Turn {
    const { promise: begun, resolve, reject } = Promise.withResolvers<void>();
    const place: Place = {
      clients: [],
      askers: 1,
      begin: resolve,
      giveUp: () => reject(new TurnGivenUp("the turn was given up")),
    };
    if (this.#free > 0) {
      this.#free--;
      resolve();
    } else {
      this.#waiting.add(place);
      this.#queue(place, client);
    }
    return {
      begun,
      join: (other) => {
        place.askers++;
        if (this.#waiting.has(place)) this.#queue(place, other);
      },
      leave: () => {
        place.askers--;
        const isGivenUp = place.askers === 0 && this.#unqueue(place);
        if (isGivenUp) place.giveUp();
        return isGivenUp;
      },
      end: () => this.#next(),
    };
  }

  /** Has all who wait give up. */
  giveUpAll(): void {
    for (const place of this.#waiting) {
      this.#unqueue(place);
      place.giveUp();
    }
  }

  #queue(place: Place, client: unknown): void {
    const line = this.#lines.get(client);
    if (line?.has(place)) return;
    // Most have one, and an array that grows has room for seventeen.
    if (place.clients.length === 0) place.clients = [client];
    else place.clients.push(client);
    if (line === undefined) this.#lines.set(client, new Set([place]));
    else line.add(place);
  }

  /** False where it did not wait. */
  #unqueue(place: Place): boolean {
    for (const client of place.clients) {
      const line = this.#lines.get(client);
      line?.delete(place);
      if (line?.size === 0) this.#lines.delete(client);
    }
    place.clients = [];
    return this.#waiting.delete(place);
  }

  #next(): void {
    for (const [client, line] of this.#lines) {
      // To the end of the Map.
      this.#lines.delete(client);
      this.#lines.set(client, line);
      for (const place of line) {
        this.#unqueue(place);
        place.begin();
        return;
      }
    }
    this.#free++;
  }
}
