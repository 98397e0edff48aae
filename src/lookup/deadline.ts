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
  /** The reply when `work` or `late` throws. */
  readonly failed: (error: unknown) => Reply;
  /** All that wait, and this among them. */
  readonly waiting: WaitingQuestions;
  readonly stop: Stop;
  /** That whoever asked is gone. */
  readonly client?: Stop | undefined;
  /** Called when nobody waits for `work` any more: the question may wait no longer, or the client is gone. */
  readonly giveUp?: () => void;
}

/**
 * That something ends, the daemon or a connection, for thousands that wait at once. An AbortSignal would do, were it not for
 * its listeners: to add one, all are looked through.
 */
export class Stop {
  /** Made for the first that waits: a client whose questions are all answered at once needs none. */
  #waiting: Set<() => void> | undefined;
  #isCalled = false;

  get isCalled(): boolean {
    return this.#isCalled;
  }

  /** Calls all that wait. Idempotent. */
  call(): void {
    this.#isCalled = true;
    for (const stopped of this.#waiting ?? []) stopped();
    this.#waiting = undefined;
  }

  /** Has `stopped` called at the end, at once if that has come already. */
  wait(stopped: () => void): void {
    if (this.#isCalled) stopped();
    else (this.#waiting ??= new Set()).add(stopped);
  }

  /** `stopped` waits no longer. */
  leave(stopped: () => void): void {
    this.#waiting?.delete(stopped);
  }
}

const STOPPING = temporaryFailure("stsmapd is stopping, try again");

/** Nobody hears it. */
const TO_NOBODY = temporaryFailure("the client is gone");

/**
 * `work`, or what `late` says once the deadline has passed, or too many wait; `work` goes on in the background. TEMP when we
 * stop meanwhile: a lookup cut short must not pass for "no policy". For a client that is gone nothing is held any longer: else
 * one that comes, asks and goes could have us hold questions without end. Never rejects.
 *
 * Thousands may wait at once, so this is one promise and no race.
 */
export function withinDeadline(work: Promise<Reply>, options: DeadlineOptions): Promise<Reply> {
  const { deadline, late, failed, waiting, stop, client, giveUp } = options;
  const { promise, resolve } = Promise.withResolvers<Reply>();
  let timer: NodeJS.Timeout | undefined;
  let leave: (() => void) | undefined;
  let isOver = false;
  const answer = (reply: Reply) => {
    isOver = true;
    clearTimeout(timer);
    leave?.();
    stop.leave(stopped);
    client?.leave(gone);
    resolve(reply);
  };
  const cutOff = (why: Impatience) => {
    giveUp?.();
    try {
      answer(late(why));
    } catch (error) {
      answer(failed(error));
    }
  };
  const stopped = () => answer(STOPPING);
  const gone = () => {
    giveUp?.();
    answer(TO_NOBODY);
  };
  work.then(
    (reply) => isOver || answer(reply),
    (error: unknown) => isOver || answer(failed(error)),
  );
  stop.wait(stopped);
  client?.wait(gone);
  if (isOver) return promise;
  timer = setTimeout(() => cutOff("deadline"), deadline);
  leave = waiting.enter(client, () => cutOff("crowd"));
  return promise;
}
