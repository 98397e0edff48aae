import type { Reply } from "../policy/reply.ts";

/** What the servers ask. The only thing they know of all that lies behind. */
export interface LookupService {
  /**
   * Answers `key`, a next hop as Postfix writes it, for the map named `map`. Both are latin1 strings: one char per octet
   * received. What memory can answer is returned at once, the rest as a promise. Never throws, never rejects.
   * The same answer is the same object as long as it holds, so that a server may remember its encoding by identity.
   *
   * @param client whoever asks, told apart by identity: those that have to wait take turns
   */
  lookup(map: string, key: string, client?: object): Reply | Promise<Reply>;
}
