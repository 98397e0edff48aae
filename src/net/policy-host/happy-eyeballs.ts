/** A TCP connection to the first of several addresses that answers (RFC 8305, without its history and its DNS part). */
import { connect, isIPv6, type Socket } from "node:net";
import { errorCode, FetchFailure } from "./fetch-failure.ts";

/** Milliseconds an attempt is given before the next address is tried beside it; RFC 8305 §8 allows 100 to 2000. */
const ATTEMPT_DELAY_MS = 300;

/** More than that, and a name server could make us knock at a whole network. */
const MAX_ADDRESSES = 8;

/** The addresses to try, in order: IPv6 first, the families taking turns (RFC 8305 §4). */
export function connectionOrder(addresses: Iterable<string>): string[] {
  const six: string[] = [];
  const four: string[] = [];
  for (const address of new Set(addresses)) (isIPv6(address) ? six : four).push(address);
  const longer = Math.max(six.length, four.length);
  const turns = Array.from({ length: longer }, (_, turn) => [six[turn], four[turn]]).flat();
  return turns.filter((address) => address !== undefined).slice(0, MAX_ADDRESSES);
}

/**
 * Connects to one of `addresses`: the next is tried when one fails, or beside it after 300 ms; the first to stand wins.
 * Throws {@link FetchFailure} `connect-failed` when all failed, and the signal's reason when it fires.
 */
export function connectFirst(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const waiting = [...addresses];
    const racing = new Set<Socket>();
    const failures: string[] = [];
    let timer: NodeJS.Timeout | undefined;

    const finish = (): void => {
      clearTimeout(timer);
      waiting.length = 0;
      signal.removeEventListener("abort", onAbort);
      for (const socket of racing) socket.destroy();
      racing.clear();
    };
    const onAbort = (): void => {
      finish();
      reject(signal.reason);
    };
    const tryNext = (): void => {
      clearTimeout(timer);
      const address = waiting.shift();
      if (address === undefined) return;
      const socket = connect({ host: address, port, noDelay: true });
      racing.add(socket);
      socket.once("connect", () => {
        if (!racing.delete(socket)) return;
        finish();
        resolve(socket);
      });
      socket.on("error", (error) => {
        if (!racing.delete(socket)) return;
        failures.push(`${address}: ${connectFailureText(error)}`);
        tryNext();
        if (racing.size > 0) return;
        finish();
        reject(
          new FetchFailure("connect-failed", `no connection to port ${port} of ${failures.join("; ")}`, {
            cause: error,
          }),
        );
      });
      if (waiting.length > 0) timer = setTimeout(tryNext, ATTEMPT_DELAY_MS);
    };

    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    tryNext();
  });
}

const FAILURE_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "timed out",
};

function connectFailureText(error: Error): string {
  return FAILURE_TEXTS[errorCode(error)] ?? error.message;
}
