/** What the requests of late mean, by their octets: most come again, and are then neither copied nor parsed. */

/** A power of two. Full of requests of usual length they take about 2 MB. */
const SLOTS = 8_192;

/** Octets. A longer request is rare, and is parsed each time. */
const LONGEST = 128;

/** FNV-1a, 32 bits. */
const FNV_BASIS = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

interface Slot<Request> {
  /** A latin1 string. */
  readonly content: string;
  readonly request: Request;
}

/** A cache with two places for a hash. Whoever sends many requests of one hash has them parsed each time, and that is all. */
export class RecentRequests<Request> {
  readonly #parse: (content: string) => Request;
  readonly #slots = Array.from<Slot<Request> | undefined>({ length: SLOTS });

  /** `parse` makes a request of a latin1 string, from nothing else: all who ask the same share it. */
  constructor(parse: (content: string) => Request) {
    this.#parse = parse;
  }

  /** The request in `octets` from `start` up to `end`. Bound to its cache. */
  readonly find = (octets: Buffer, start: number, end: number): Request => {
    // Even: each two neighbours share their hashes.
    const first = hash(octets, start, end) & (SLOTS - 2);
    const slot = this.#slots[first];
    if (slot !== undefined && isSame(slot.content, octets, start, end)) return slot.request;
    const second = this.#slots[first + 1];
    if (second !== undefined && isSame(second.content, octets, start, end)) return second.request;
    const content = octets.toString("latin1", start, end);
    const request = this.#parse(content);
    if (end - start > LONGEST) return request;
    this.#slots[first + 1] = slot;
    this.#slots[first] = { content, request };
    return request;
  };
}

function hash(octets: Buffer, start: number, end: number): number {
  let value = FNV_BASIS;
  for (let at = start; at < end; at++) value = Math.imul(value ^ octets[at]!, FNV_PRIME);
  // The upper half is mixed best.
  return value ^ (value >>> 16);
}

function isSame(content: string, octets: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (content.length !== length) return false;
  for (let at = 0; at < length; at++) if (content.charCodeAt(at) !== octets[start + at]) return false;
  return true;
}
