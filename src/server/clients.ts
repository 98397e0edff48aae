/** The clients of one server, and whether there is room for more. */
import type { Socket } from "node:net";
import { Connection } from "./connection.ts";
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
  readonly #onViolation: (error: ProtocolError, socket: Socket) => void;
  readonly #connections = new Set<Connection>();
  #saidFull = false;

  constructor(max: number, protocol: Protocol, events: ClientEvents) {
    this.max = max;
    this.#protocol = protocol;
    this.#events = events;
    this.#onViolation = (error, socket) => events.onViolation(error, socket.remoteAddress ?? "");
  }

  /** Connected now. */
  get count(): number {
    return this.#connections.size;
  }

  get isFull(): boolean {
    return this.count >= this.max;
  }

  /** Answers what `socket` asks, or turns it away. */
  accept(socket: Socket): void {
    if (this.isFull) {
      socket.destroy();
      this.turnedAway();
      return;
    }
    const connection = new Connection(socket, this.#protocol, this.#onViolation);
    this.#connections.add(connection);
    socket.on("close", () => {
      this.#connections.delete(connection);
      if (this.#saidFull && this.count < this.max * ROOM_AGAIN) this.#sayFull(false);
    });
  }

  /** One found no room. */
  turnedAway(): void {
    if (!this.#saidFull) this.#sayFull(true);
  }

  /** Ends those that await nothing at once, the others after their replies. */
  finish(): void {
    for (const connection of this.#connections) connection.finish();
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  #sayFull(isFull: boolean): void {
    this.#saidFull = isFull;
    this.#events.onFullChange(isFull, this.max);
  }
}
