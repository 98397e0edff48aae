/** One try of one query at one server, over UDP or TCP. What comes back is octets that claim to answer it. */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import { isAnswerTo } from "./message.ts";
import { DnsError } from "./resolver.ts";

/** Where a name server listens: an IP address (IPv6 with its scope, where it needs one) and a port. */
export interface DnsServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface TryLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What a try reports to {@link bounded}; only the first report counts. */
interface Outcome {
  readonly done: (message: Buffer) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Sends `query` from a socket of its own, hence a fresh random port, connected, so that the kernel drops what does not
 * come from the server. Datagrams that do not answer the query are ignored: whoever forges them gains nothing, not even a
 * failure (RFC 5452 §9).
 * Throws {@link DnsError} `timeout`, `network`, `aborted`.
 */
export function askOverUdp(server: DnsServerAddress, query: Buffer, limits: TryLimits): Promise<Buffer> {
  return bounded(limits, ({ done, fail }) => {
    const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
    socket.on("error", fail);
    socket.on("message", (message) => {
      if (isAnswerTo(message, query)) done(message);
    });
    const send = (): void =>
      socket.send(query, (error) => {
        if (error) fail(error);
      });
    socket.on("connect", send);
    socket.connect(server.port, server.host);
    return () => {
      // Closed between connect and its event, the socket would still emit it, and could not send.
      socket.off("connect", send);
      socket.close();
    };
  });
}

/**
 * Sends `query` over a connection of its own (RFC 7766, without reuse: truncation is rare for what we ask).
 * Throws {@link DnsError} `timeout`, `network`, `malformed`, `aborted`.
 */
export function askOverTcp(server: DnsServerAddress, query: Buffer, limits: TryLimits): Promise<Buffer> {
  return bounded(limits, ({ done, fail }) => {
    const pieces: Buffer[] = [];
    let received = 0;
    // The length prefix first, then with the message it announces.
    let expected = 2;
    const socket = connect({ host: server.host, port: server.port });
    socket.on("error", fail);
    socket.on("end", () => fail(new DnsError("network", "the connection ended before the answer")));
    socket.on("data", (piece) => {
      pieces.push(piece);
      received += piece.length;
      if (received < expected) return;
      const octets = Buffer.concat(pieces);
      expected = 2 + octets.readUInt16BE();
      if (received < expected) return;
      const message = octets.subarray(2, expected);
      if (isAnswerTo(message, query)) done(message);
      else fail(new DnsError("malformed", "the answer over TCP is to another question"));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    return () => socket.destroy();
  });
}

/** The error for a signal that fired. */
export function aborted(signal: AbortSignal): DnsError {
  return new DnsError("aborted", "the DNS query was given up", { cause: signal.reason });
}

/** Runs what `start` begins until it reports, the time is over or the signal fires; then calls what `start` returned. */
function bounded({ timeoutMs, signal }: TryLimits, start: (outcome: Outcome) => () => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted(signal));
      return;
    }
    let settled = false;
    let stop: (() => void) | undefined;
    const settle = (report: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      stop?.();
      report();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error instanceof DnsError ? error : networkError(error)));
    };
    const onAbort = (): void => {
      if (signal !== undefined) fail(aborted(signal));
    };
    const timer = setTimeout(
      () => fail(new DnsError("timeout", `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    signal?.addEventListener("abort", onAbort);
    try {
      stop = start({ done: (message) => settle(() => resolve(message)), fail });
    } catch (error) {
      // Out of descriptors, or a port that is none.
      fail(error);
    }
  });
}

function networkError(error: unknown): DnsError {
  return new DnsError("network", error instanceof Error ? error.message : String(error), { cause: error });
}
