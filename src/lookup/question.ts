/** What Postfix asks. */
import { policyDomain } from "../policy/domain.ts";
import type { Reply } from "../policy/reply.ts";

/** One question. It may be asked again and again: it is understood once, and holds its last answer for a moment. */
export class Question {
  readonly map: string;
  readonly key: string;
  /** The policy domain of the key; undefined for what can have no policy. */
  readonly domain: string | undefined;
  #reply: Reply | undefined;
  #until = 0;
  #state = 0;

  /** Both are latin1 strings: one char per octet received. `key` is a next hop as Postfix writes it. */
  constructor(map: string, key: string) {
    this.map = map;
    this.key = key;
    this.domain = policyDomain(key);
  }

  /** The answer that still holds at `now`, in milliseconds; undefined where there is none. */
  held(now: number, state: number): Reply | undefined {
    return now < this.#until && state === this.#state ? this.#reply : undefined;
  }

  /** Holds `reply` until `until`, in milliseconds, or until the number `state` is another. */
  hold(reply: Reply, until: number, state: number): void {
    this.#reply = reply;
    this.#until = until;
    this.#state = state;
  }
}
