/** What the parsers of both protocols share: octets in, cut anywhere, whole requests out. Pure: no socket, no clock. */

/**
 * - `bad-length`: a netstring's length is missing, has a leading zero, or holds something that is no digit.
 * - `no-comma`: a netstring's content is not followed by a comma.
 * - `too-long`: the request is longer than the protocol's limit.
 */
export type ProtocolErrorCode = "bad-length" | "no-comma" | "too-long";

/** The client broke the framing. Close its connection; nobody else is concerned. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

const NOTHING = Buffer.alloc(0);

/** Makes a request of the octets from `start` up to `end`, which are its content. */
export type ReadRequest<Request> = (octets: Buffer, start: number, end: number) => Request;

/** The content as a latin1 string, one char per octet. */
export function asText(octets: Buffer, start: number, end: number): string {
  return octets.toString("latin1", start, end);
}

export abstract class RequestParser<Request> {
  /** Bytes a request may have. */
  protected readonly limit: number;
  protected readonly read: ReadRequest<Request>;
  /** What is not taken yet begins at `start`. */
  protected octets: Buffer = NOTHING;
  protected start = 0;
  /** The octets are another's, who will use their memory again. */
  #isBorrowed = false;
  #dead = false;

  constructor(limit: number, read: ReadRequest<Request>) {
    this.limit = limit;
    this.read = read;
  }

  /**
   * Takes the next octets. They are not copied: once the requests are taken, call {@link keep}, and the chunk's memory is its
   * owner's again.
   */
  push(chunk: Buffer): void {
    if (this.#dead) return;
    const isEmpty = this.start === this.octets.length;
    this.octets = isEmpty ? chunk : Buffer.concat([this.octets.subarray(this.start), chunk]);
    this.#isBorrowed = isEmpty;
    this.start = 0;
  }

  /** Copies what is left of the last chunk: requests that were not taken, and the beginning of one. */
  keep(): void {
    if (this.start === this.octets.length) this.#forget();
    else if (this.#isBorrowed || this.start > 0) {
      this.octets = Buffer.from(this.octets.subarray(this.start));
      this.start = 0;
      this.#isBorrowed = false;
    }
  }

  /**
   * The next whole request, or undefined until more octets come. Throws {@link ProtocolError} as soon as the stream
   * cannot be followed any more; from then on the parser is dead: it takes nothing and returns undefined.
   */
  abstract next(): Request | undefined;

  /** For `next`: the stream cannot be followed any more. */
  protected fail(code: ProtocolErrorCode, message: string): never {
    this.#dead = true;
    this.#forget();
    throw new ProtocolError(code, message);
  }

  #forget(): void {
    this.octets = NOTHING;
    this.start = 0;
  }
}
