/** What a connection needs of a protocol. Octets to be written are latin1 strings: V8 joins them for nothing. */
import type { LookupService } from "../lookup/lookup-service.ts";
import type { Question } from "../lookup/question.ts";
import type { Stop } from "../lookup/deadline.ts";
import type { Reply } from "../policy/reply.ts";
import type { RequestParser } from "./request-parser.ts";

/** A question with the octets of its last answer, which are made once for each reply: the same answer is the same object. */
export class Request {
  readonly question: Question;
  #reply: Reply | undefined;
  #octets = "";

  constructor(question: Question) {
    this.question = question;
  }

  /** `reply` in the words of `encode`. */
  encoded(reply: Reply, encode: (reply: Reply) => string): string {
    if (reply !== this.#reply) {
      this.#reply = reply;
      this.#octets = encode(reply);
    }
    return this.#octets;
  }
}

export interface Protocol {
  /** What its requests are read to: a question, or the octets that refuse what is none. */
  createParser(): RequestParser<Request | string>;
  /**
   * The octets that answer one request: at once when the lookup service knows, else later. Never throws, never rejects.
   *
   * @param client whoever asks, for the lookup service: that they are gone
   */
  answer(request: Request | string, client?: Stop): string | Promise<string>;
}

/** Asks `service`, and gives its replies in the words of `encode`. */
export function answerWith(service: LookupService, encode: (reply: Reply) => string): Protocol["answer"] {
  return (request, client) => {
    if (typeof request === "string") return request;
    const reply = service.lookup(request.question, client);
    return reply instanceof Promise ? reply.then(encode) : request.encoded(reply, encode);
  };
}
