/** No client waits longer than the deadline, and none longer than we live. */
import { temporaryFailure } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";

export interface DeadlineOptions {
  /** Milliseconds. */
  readonly deadline: number;
  /** The reply when the deadline has passed. */
  readonly late: () => Reply;
  /** Fires when we stop. */
  readonly signal: AbortSignal;
}

const STOPPING = temporaryFailure("stsmapd is stopping, try again");

/**
 * `work`, or what `late` says once the deadline has passed; `work` goes on in the background. TEMP when we stop meanwhile: a
 * lookup cut short must not pass for "no policy". Rejects with what `work` or `late` throws.
 */
export async function withinDeadline(work: Promise<Reply>, options: DeadlineOptions): Promise<Reply> {
  const { deadline, late, signal } = options;
  const { promise: cutShort, resolve, reject } = Promise.withResolvers<Reply>();
  const timer = setTimeout(() => {
    try {
      resolve(late());
    } catch (error) {
      reject(error);
    }
  }, deadline);
  const stop = () => resolve(STOPPING);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop);
  try {
    return await Promise.race([cutShort, work]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
