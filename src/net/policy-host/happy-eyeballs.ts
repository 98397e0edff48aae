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
 * Throws {@link FetchFailure} when all failed, `local-error` if it was this machine that could not and else `connect-failed`,
 * and the signal's reason when it fires.
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
    const codes: string[] = [];
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
        codes.push(errorCode(error));
        tryNext();
        if (racing.size > 0) return;
        finish();
        reject(
          new FetchFailure(reasonOf(codes), `no connection to port ${port} of ${failures.join("; ")}`, {
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

/** What connect(2) says when the packets never left: no descriptor, memory, local port or permission. */
const LOCAL_CODES: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
  "EACCES",
  "EPERM",
]);

/** One address that refuses is the host's fault, whatever the others met; one of a family we have no route for says nothing. */
function reasonOf(codes: readonly string[]): "connect-failed" | "local-error" {
  const telling = codes.filter((code) => code !== "ENETUNREACH");
  return telling.length > 0 && telling.every((code) => LOCAL_CODES.has(code))
    ? "local-error"
    : "connect-failed";
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
