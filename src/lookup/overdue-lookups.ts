/** Notices lookups that are never answered: each has its deadline, so one that is long past it shows a fault of ours. */
import type { Reply } from "../policy/reply.ts";
import type { Stop } from "./deadline.ts";
import type { LookupService } from "./lookup-service.ts";
import type { Question } from "./question.ts";

/** `service`, with an eye on the lookups that had to wait. */
export class OverdueLookups implements LookupService {
  readonly #service: LookupService;
  readonly #now: () => number;
  /** When they began, the oldest first. */
  readonly #waiting = new Set<{ readonly since: number }>();

  /** @param now milliseconds that only ever pass */
  constructor(service: LookupService, now: () => number) {
    this.#service = service;
    this.#now = now;
  }

  lookup(question: Question, client?: Stop): Reply | Promise<Reply> {
    const reply = this.#service.lookup(question, client);
    if (reply instanceof Promise) this.#watch(reply);
    return reply;
  }

  /** Milliseconds for which the oldest question has been waiting; 0 where none waits. */
  longestWait(): number {
    for (const { since } of this.#waiting) return this.#now() - since;
    return 0;
  }

  #watch(reply: Promise<Reply>): void {
    const waiting = { since: this.#now() };
    this.#waiting.add(waiting);
    void reply.then(() => this.#waiting.delete(waiting));
  }
}
