/** What an attack on the lookup sockets is, and what all of them need. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseListenAddress } from "../../src/net/listen-address.ts";

export interface Target {
  /** Addresses of the two protocols. */
  readonly socketmap: string;
  readonly tcpTable: string;
  /** 1: as the issue has it. Less: as many connections and requests in proportion. */
  readonly scale: number;
}

export interface Seen {
  /** For the table. */
  readonly text: string;
  /** Replies that were wrong, and connections that were ended although nothing was wrong with them. */
  readonly faults: number;
}

export interface Attack {
  readonly name: string;
  readonly input: string;
  readonly expected: string;
  /** Milliseconds that it needs to show what it does. */
  readonly duration: number;
  /** MiB that the daemon may take beyond what it had. */
  readonly memory: number;
  /** The name server is silent, or the daemon has hardly a descriptor left. */
  readonly surroundings?: "dns-silent" | "few-descriptors";
  /** Goes on until the signal fires; what is counted goes on to its own end all the same. */
  run(target: Target, signal: AbortSignal): Promise<Seen>;
}

type Protocol = "socketmap" | "tcp_table";

/** A socket that never throws. Octets are latin1 strings. */
export class Attacker {
  readonly protocol: Protocol;
  readonly socket: Socket;
  /** Octets of replies. */
  received = 0;
  isClosed = false;
  /** The last octets that came. */
  tail = "";

  private constructor(protocol: Protocol, socket: Socket) {
    this.protocol = protocol;
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** The n-th of many: they take turns with the protocols. Whoever is not let in is closed. */
  static async connect(target: Target, n: number, options: { halfOpen?: boolean } = {}): Promise<Attacker> {
    const protocol = n % 2 === 0 ? "socketmap" : "tcp_table";
    const where = parseListenAddress(protocol === "socketmap" ? target.socketmap : target.tcpTable);
    if (where === undefined) throw new TypeError("no address");
    const socket = connect({ ...where, allowHalfOpen: options.halfOpen ?? false, noDelay: true });
    const attacker = new Attacker(protocol, socket);
    await Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => undefined);
    return attacker;
  }

  /** Counts what comes, and keeps its end. Without this nothing is read. */
  read(): this {
    this.socket.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
      this.tail = (this.tail + chunk.toString("latin1")).slice(-200);
    });
    return this;
  }

  write(octets: string): boolean {
    return this.socket.write(octets, "latin1");
  }

  /** Waits until `condition` holds, the connection is gone, or the signal fires; without one, a minute. */
  async until(condition: () => boolean, signal = AbortSignal.timeout(60_000)): Promise<boolean> {
    while (!condition() && !this.isClosed && !signal.aborted) await sleep(5);
    return condition();
  }
}

/** One request for `key`, which must need no quoting. */
export function request(protocol: Protocol, key: string): string {
  return protocol === "socketmap" ? `${key.length + 8}:postfix ${key},` : `get ${key}\n`;
}

/** The whole reply that says so. */
export function notFound(protocol: Protocol): string {
  return protocol === "socketmap" ? "9:NOTFOUND ," : "500 not%20found\n";
}

/** Connects `count` of them, a hundred at a time. */
export async function connectMany(
  target: Target,
  count: number,
  options: { halfOpen?: boolean } = {},
): Promise<Attacker[]> {
  const all: Attacker[] = [];
  for (let from = 0; from < count; from += 100) {
    const some = Array.from({ length: Math.min(100, count - from) }, (_, n) =>
      Attacker.connect(target, from + n, options),
    );
    all.push(...(await Promise.all(some)));
  }
  return all;
}

/** Resolves when the signal fires. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

export function scaled({ scale }: Target, count: number): number {
  return Math.max(2, Math.round(count * scale));
}
