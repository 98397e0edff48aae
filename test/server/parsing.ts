import type * as fc from "fast-check";
import { encodeNetstring } from "../../src/server/netstring.ts";
import type { Protocol } from "../../src/server/protocol.ts";
import { ProtocolError, type RequestParser } from "../../src/server/request-parser.ts";

/**
 * All requests that a parser finds in `chunks`, latin1 strings, and the code of the error that stopped it. Each chunk's memory
 * is spoilt before the next one comes, as a server does it.
 */
export function outcome(parser: RequestParser<string>, chunks: Iterable<string>) {
  const requests: string[] = [];
  try {
    for (const chunk of chunks) {
      const octets = Buffer.from(chunk, "latin1");
      parser.push(octets);
      for (let request = parser.next(); request !== undefined; request = parser.next())
        requests.push(request);
      parser.keep();
      octets.fill("7");
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { requests, error: error.code };
  }
  return { requests, error: undefined };
}

/** What `protocol` answers to one request, a latin1 string with its framing. */
export function answerTo(protocol: Protocol, octets: string): string | Promise<string> {
  const parser = protocol.createParser();
  parser.push(Buffer.from(octets, "latin1"));
  return protocol.answer(parser.next()!);
}

/** What a socketmap `protocol` answers to `content`. */
export function answerToNetstring(protocol: Protocol, content: string): string | Promise<string> {
  return answerTo(protocol, encodeNetstring(content));
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
