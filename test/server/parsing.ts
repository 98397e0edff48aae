import type * as fc from "fast-check";
import { ProtocolError, type RequestParser } from "../../src/server/request-parser.ts";

/** All requests that a parser finds in `chunks`, latin1 strings, and the code of the error that stopped it. */
export function outcome(parser: RequestParser, chunks: Iterable<string>) {
  const requests: string[] = [];
  try {
    for (const chunk of chunks) {
      parser.push(Buffer.from(chunk, "latin1"));
      for (let request = parser.next(); request !== undefined; request = parser.next())
        requests.push(request);
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { requests, error: error.code };
  }
  return { requests, error: undefined };
}

/** `text` cut into pieces of the given sizes. */
export function cuts(text: string, sizes: fc.Stream<number>): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = sizes.next().value;
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}
