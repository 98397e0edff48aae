/** What holds for both parsers of requests: how the network cuts the stream changes nothing, and after an error all is over. */
import {
  ProtocolError,
  type ProtocolErrorCode,
  type RequestParser,
} from "../../../src/server/request-parser.ts";
import { rule } from "../target.ts";

export interface Parsing {
  readonly requests: readonly string[];
  readonly error: ProtocolErrorCode | undefined;
}

/** Chunks longer than this say nothing new. */
const LONGEST_CHUNK = 17;
/** A longer stream is not tried octet by octet, which takes time that grows with its square. */
const LONGEST_BY_OCTETS = 2_000;

/**
 * What a parser makes of `stream`, in one piece. Throws unless it makes the same of it in others.
 *
 * @param more a request that is whole by itself, which a dead parser must not take
 */
export function parsedAnyhow(
  createParser: () => RequestParser<string>,
  stream: Buffer,
  more: Buffer,
): Parsing {
  const whole = parsed(createParser(), [stream], more);
  const sizes = [...stream.subarray(0, 16)].map((octet) => 1 + (octet % LONGEST_CHUNK));
  const cuts = [chunks(stream, sizes.length > 0 ? sizes : [1])];
  if (stream.length <= LONGEST_BY_OCTETS) cuts.push(chunks(stream, [1]));
  for (const cut of cuts) {
    const again = parsed(createParser(), cut, more);
    rule(JSON.stringify(again) === JSON.stringify(whole), "the requests depend on how the stream is cut");
  }
  return whole;
}

function parsed(parser: RequestParser<string>, pieces: readonly Buffer[], more: Buffer): Parsing {
  const requests: string[] = [];
  try {
    for (const piece of pieces) {
      const octets = Buffer.from(piece);
      parser.push(octets);
      for (let next = parser.next(); next !== undefined; next = parser.next()) requests.push(next);
      parser.keep();
      // The server's next read takes the same memory.
      octets.fill("7");
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    parser.push(more);
    rule(parser.next() === undefined, "a parser goes on after an error");
    return { requests, error: error.code };
  }
  return { requests, error: undefined };
}

function chunks(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const size = sizes[pieces.length % sizes.length] ?? 1;
    pieces.push(stream.subarray(at, at + size));
    at += size;
  }
  return pieces;
}
