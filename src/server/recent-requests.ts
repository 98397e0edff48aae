/** What the requests of late mean, by their octets: most come again, and are then neither copied nor parsed. */
import { asText } from "./request-parser.ts";

/** A power of two. Full of requests they take about 2 MB. */
const SLOTS = 8_192;

/** Octets. A longer request is rare, and is parsed each time. */
const LONGEST = 128;

/**
 * Of requests that find both their places taken, one in so many is kept. What is asked often gets in soon; and where more is asked
 * than there is room for, not every question drives out another, to be collected as garbage later.
 */
const KEPT = 8;

/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A cache with two places for a hash. Whoever sends many requests of one hash has them parsed each time, and that is all. */
export class RecentRequests<Request> {
  readonly #parse: (content: string) => Request;
  readonly #requests = Array.from<Request | undefined>({ length: SLOTS });
  /** The octets of each slot's request begin at its number times LONGEST. */
  readonly #octets = Buffer.alloc(SLOTS * LONGEST);
  readonly #lengths = new Uint8Array(SLOTS);
  #refused = 0;

  /** `parse` makes a request of a latin1 string, from nothing else: all who ask the same share it. */
  constructor(parse: (content: string) => Request) {
    this.#parse = parse;
  }

  /** The request in `octets` from `start` up to `end`. Bound to its cache. */
  readonly find = (octets: Buffer, start: number, end: number): Request => {
    if (end - start > LONGEST) return this.#parse(asText(octets, start, end));
    // Even: each two neighbours share their hashes.
    const first = hash(octets, start, end) & (SLOTS - 2);
    for (let slot = first; slot <= first + 1; slot++) {
      const request = this.#requests[slot];
      if (request !== undefined && this.#isIn(slot, octets, start, end)) return request;
    }
    const request = this.#parse(asText(octets, start, end));
    if (!this.#isAdmitted(first)) return request;
    this.#move(first, first + 1);
    this.#requests[first] = request;
    this.#lengths[first] = end - start;
    octets.copy(this.#octets, first * LONGEST, start, end);
    return request;
  };

  #isIn(slot: number, octets: Buffer, start: number, end: number): boolean {
    const length = end - start;
    if (this.#lengths[slot] !== length) return false;
    const own = this.#octets;
    const base = slot * LONGEST;
    for (let at = 0; at < length; at++) if (own[base + at] !== octets[start + at]) return false;
    return true;
  }

  #isAdmitted(first: number): boolean {
    if (this.#requests[first + 1] === undefined) return true;
    this.#refused = (this.#refused + 1) % KEPT;
    return this.#refused === 0;
  }

  #move(from: number, to: number): void {
    this.#requests[to] = this.#requests[from];
    this.#lengths[to] = this.#lengths[from]!;
    this.#octets.copyWithin(to * LONGEST, from * LONGEST, (from + 1) * LONGEST);
  }
}

function hash(octets: Buffer, start: number, end: number): number {
  let value = FNV_BASIS;
  for (let at = start; at < end; at++) value = Math.imul(value ^ octets[at]!, FNV_PRIME);
  // The upper half is mixed best.
  return value ^ (value >>> 16);
}
