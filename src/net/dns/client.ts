/** A stub resolver: asks the recursive servers it is given, in their order, and remembers nothing. */
import { randomInt } from "node:crypto";
import { readMessage, type Trail } from "./answer.ts";
import { LoopTurns } from "./loop-turns.ts";
import { decodeMessage, type DnsMessage, encodeQuery, isTruncated, Rcode, rcodeName } from "./message.ts";
import { checkedName } from "./name.ts";
import { Slots } from "./slots.ts";
import { aborted, askOverTcp, askOverUdp, type DnsServerAddress } from "./transport.ts";
import { type DnsAnswer, DnsError, type DnsErrorCode, type RecordType, type Resolver } from "./resolver.ts";

export interface DnsClientOptions {
  /** Called for each question, so that the list may change. */
  readonly servers: () => readonly DnsServerAddress[];
  /** Milliseconds for one try over UDP, and again for one over TCP. */
  readonly timeoutMs: number;
  /** Rounds over all servers, at least 1. */
  readonly attempts: number;
  /** Questions at once, each with one socket; 512 without, half of the usual limit of 1,024 descriptors. */
  readonly maxInFlight?: number;
}

/** Of several failures the first in this order is reported: what a server said before what none said. */
const MOST_TELLING: readonly DnsErrorCode[] = ["servfail", "refused", "malformed", "network", "timeout"];
/** How servers without EDNS0, or with another version of it, refuse it (RFC 6891 §6.1.3, §7). */
const NO_EDNS: ReadonlySet<number> = new Set([Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS]);
/** Any other status is a failure of the server. */
const FAILURES: ReadonlyMap<number, DnsErrorCode> = new Map([
  [Rcode.FORMERR, "malformed"],
  [Rcode.NOTIMP, "refused"],
  [Rcode.REFUSED, "refused"],
]);
/** Questions that may wait, as a multiple of those at once. */
const WAITING_FACTOR = 8;

export class DnsClient implements Resolver {
  readonly #options: DnsClientOptions;
  readonly #slots: Slots;
  readonly #turns = new LoopTurns();

  constructor(options: DnsClientOptions) {
    this.#options = options;
    const maxInFlight = options.maxInFlight ?? 512;
    this.#slots = new Slots(maxInFlight, maxInFlight * WAITING_FACTOR);
  }

  /** Questions that wait for their turn. */
  get waiting(): number {
    return this.#slots.waiting;
  }

  /**
   * Asks for `type` at `name`, follows aliases (at most 8) and stops when `signal` fires. `.` is the root.
   * Throws {@link DnsError} and nothing else.
   */
  async resolve<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<T>> {
    let trail: Trail = { name: checkedName(name), aliases: 0, ttl: Infinity, authenticated: true };
    await this.#slots.take(signal);
    try {
      for (;;) {
        const reading = readMessage(await this.#ask(trail.name, type, signal), trail, type);
        if ("answer" in reading) return reading.answer;
        // Ends: each new trail has more aliases, and readMessage allows 8 in all.
        trail = { ...reading.trail, name: checkedName(reading.trail.name) };
      }
    } finally {
      this.#slots.release();
    }
  }

  /**
   * Each round asks each server until one answers. A server that said REFUSED is not asked again: it would say the same a
   * moment later. One that said SERVFAIL is asked once more: its own time for a cold name may just have run out.
   */
  async #ask(name: string, type: RecordType, signal: AbortSignal | undefined): Promise<DnsMessage> {
    const failures: DnsError[] = [];
    const failed = new Set<DnsServerAddress>();
    let servers = this.#options.servers();
    for (let round = 0; round < this.#options.attempts; round++) {
      const again: DnsServerAddress[] = [];
      for (const server of servers) {
        try {
          return await this.#askServer(server, name, type, signal);
        } catch (error) {
          if (!(error instanceof DnsError) || error.code === "aborted") throw error;
          failures.push(error);
          const isFinal = error.code === "refused" || (error.code === "servfail" && failed.has(server));
          if (error.code === "servfail") failed.add(server);
          if (!isFinal) again.push(server);
        }
      }
      servers = again;
    }
    const [failure] = failures.sort((a, b) => MOST_TELLING.indexOf(a.code) - MOST_TELLING.indexOf(b.code));
    if (failure === undefined) throw new DnsError("network", "no name server is configured");
    throw new DnsError(failure.code, `${type} of ${name === "" ? "." : name}: ${failure.message}`, {
      cause: failure,
    });
  }

  /** One try: UDP, then TCP if the answer was cut, and both without EDNS for a server that does not know it. */
  async #askServer(
    server: DnsServerAddress,
    name: string,
    type: RecordType,
    signal: AbortSignal | undefined,
    edns = true,
  ): Promise<DnsMessage> {
    // As dig(1) writes it.
    const label = `${server.host}#${server.port}`;
    const limits = { timeoutMs: this.#options.timeoutMs, signal };
    const query = encodeQuery(randomInt(0x1_0000), name, type, edns);
    let octets: Buffer;
    let message: DnsMessage;
    try {
      octets = await askOverUdp(server, query, limits);
      await this.#turns.pass();
      if (signal?.aborted) throw aborted(signal);
      if (isTruncated(octets)) octets = await askOverTcp(server, query, limits);
      message = decodeMessage(octets);
    } catch (error) {
      if (!(error instanceof DnsError) || error.code === "aborted") throw error;
      throw new DnsError(error.code, `${label}: ${error.message}`, { cause: error.cause });
    }
    const { rcode } = message;
    if (rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN) return message;
    if (edns && NO_EDNS.has(rcode)) return this.#askServer(server, name, type, signal, false);
    throw new DnsError(FAILURES.get(rcode) ?? "servfail", `${label} answered ${rcodeName(rcode)}`);
  }
}
