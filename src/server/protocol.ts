/** What a connection needs of a protocol. Octets to be written are latin1 strings: V8 joins them for nothing. */
import type { Reply } from "../policy/reply.ts";
import type { RequestParser } from "./request-parser.ts";

export interface Protocol {
  createParser(): RequestParser;
  /**
   * The octets that answer one request: at once when the lookup service knows, else later. Never throws, never rejects.
   *
   * @param client whoever asks, for the lookup service
   */
  answer(request: string, client?: object): string | Promise<string>;
}

/** `encode`, done once for each reply: the lookup service gives the same object as long as an answer holds. */
export function remembered(encode: (reply: Reply) => string): (reply: Reply) => string {
  const encoded = new WeakMap<Reply, string>();
  return (reply) => {
    let octets = encoded.get(reply);
    if (octets === undefined) {
      octets = encode(reply);
      encoded.set(reply, octets);
    }
    return octets;
  };
}
