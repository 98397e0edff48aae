/** No client waits longer than the deadline, none longer than we live, and not more questions than we can hold. */
import { temporaryFailure } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";
import type { WaitingQuestions } from "./waiting-questions.ts";

/** Why a question is answered before what it asks for is known: it waited for too long, or too many others wait. */
export type Impatience = "deadline" | "crowd";

export interface DeadlineOptions {
  /** Milliseconds. */
  readonly deadline: number;
  /** The reply when the question may wait no longer. */
  readonly late: (why: Impatience) => Reply;
  /** All that wait, and this among them. */
  readonly waiting: WaitingQuestions;
  readonly stop: Stop;
  /** That whoever asked is gone. */
  readonly client?: Stop | undefined;
  /** Called when nobody waits for `work` any more: the question may wait no longer, or the client is gone. */
  readonly giveUp?: () => void;
}

/**
 * That something ends, the daemon or a connection, for thousands that wait at once. An AbortSignal would do, were it not for its listeners: to add one, all are
 * looked through.
 */
export class Stop {
  readonly #waiting = new Set<() => void>();
  #isCalled = false;

  get isCalled(): boolean {
    return this.#isCalled;
  }

  /** Calls all that wait. Idempotent. */
  call(): void {
    this.#isCalled = true;
    for (const stopped of this.#waiting) stopped();
    this.#waiting.clear();
  }

  /** Has `stopped` called at the end, at once if that has come already. */
  wait(stopped: () => void): void {
    if (this.#isCalled) stopped();
    else this.#waiting.add(stopped);
  }

  /** `stopped` waits no longer. */
  leave(stopped: () => void): void {
    this.#waiting.delete(stopped);
  }
}

const STOPPING = temporaryFailure("stsmapd is stopping, try again");

/** Nobody hears it. */
const TO_NOBODY = temporaryFailure("the client is gone");

/**
 * `work`, or what `late` says once the deadline has passed, or too many wait; `work` goes on in the background. TEMP when we
 * stop meanwhile: a lookup cut short must not pass for "no policy". For a client that is gone nothing is held any longer: else
 * one that comes, asks and goes could have us hold questions without end. Rejects with what `work` or `late` throws.
 */
export async function withinDeadline(work: Promise<Reply>, options: DeadlineOptions): Promise<Reply> {
  const { deadline, late, waiting, stop, client, giveUp = () => {} } = options;
  const { promise: cutShort, resolve, reject } = Promise.withResolvers<Reply>();
  const cutOff = (why: Impatience) => {
    giveUp();
    try {
      resolve(late(why));
    } catch (error) {
      reject(error);
    }
  };
  const timer = setTimeout(() => cutOff("deadline"), deadline);
  const leave = waiting.enter(client, () => cutOff("crowd"));
  const stopped = () => resolve(STOPPING);
  const gone = () => {
    giveUp();
    resolve(TO_NOBODY);
  };
  stop.wait(stopped);
  client?.wait(gone);
  try {
    return await Promise.race([cutShort, work]);
  } finally {
    clearTimeout(timer);
    leave();
    stop.leave(stopped);
    client?.leave(gone);
  }
}
