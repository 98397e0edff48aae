/** The clients of one server, and whether there is room for more. */
import type { Socket } from "node:net";
import { Connection, type ConnectionEvents } from "./connection.ts";
import type { Protocol } from "./protocol.ts";
import type { ProtocolError } from "./request-parser.ts";

/** A server that was full has room again below this part of its clients, so that one who comes and goes is no news. */
const ROOM_AGAIN = 0.9;

export interface ClientEvents {
  /** A client broke the framing and is being disconnected. `client` is its IP address, or "" on a unix socket. */
  onViolation(error: ProtocolError, client: string): void;
  /** From now on clients are turned away, because `maxConnections` are connected; or no longer. */
  onFullChange(isFull: boolean, maxConnections: number): void;
}

export class Clients {
  /** How many there may be at once. */
  readonly max: number;
  readonly #protocol: Protocol;
  readonly #events: ClientEvents;
  readonly #connectionEvents: ConnectionEvents;
  readonly #connections = new Set<Connection>();
  readonly #awaitingNobody: (() => void)[] = [];
  #saidFull = false;

  constructor(max: number, protocol: Protocol, events: ClientEvents) {
    this.max = max;
    this.#protocol = protocol;
    this.#events = events;
    this.#connectionEvents = {
      onViolation: (error, socket) => events.onViolation(error, socket.remoteAddress ?? ""),
      onClose: (connection) => this.#remove(connection),
    };
  }

  /** Connected now. */
  get count(): number {
    return this.#connections.size;
  }

  get isFull(): boolean {
    return this.count >= this.max;
  }

  /** Answers what `accepted` asks, or turns it away. It has read nothing yet. */
  accept(accepted: Socket): void {
    if (this.isFull) {
      accepted.destroy();
      if (!this.#saidFull) this.#sayFull(true);
      return;
    }
    this.#connections.add(new Connection(accepted, this.#protocol, this.#connectionEvents));
  }

  /** Resolves when nobody is connected. */
  async gone(): Promise<void> {
    if (this.count === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#awaitingNobody.push(resolve);
    await promise;
  }

  /** Ends those that await nothing at once, the others after their replies. */
  finish(): void {
    for (const connection of this.#connections) connection.finish();
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #remove(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.count === 0) for (const resolve of this.#awaitingNobody.splice(0)) resolve();
    if (this.#saidFull && this.count < this.max * ROOM_AGAIN) this.#sayFull(false);
  }

  #sayFull(isFull: boolean): void {
    this.#saidFull = isFull;
    this.#events.onFullChange(isFull, this.max);
  }
}
