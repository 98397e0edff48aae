import type { Reply } from "../policy/reply.ts";
import type { Question } from "./question.ts";
import type { Stop } from "./deadline.ts";

/** What the servers ask. The only thing they know of all that lies behind. */
export interface LookupService {
  /**
   * Answers `question`. What memory can answer is returned at once, the rest as a promise. Never throws, never rejects.
   * The same answer is the same object as long as it holds, so that a server may remember its encoding by identity.
   *
   * @param client whoever asks, told apart by identity: those that have to wait take turns. It is called when they are gone
   */
  lookup(question: Question, client?: Stop): Reply | Promise<Reply>;
}
