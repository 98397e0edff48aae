/** One client: its requests in, the replies out in the same order, and neither side ever ahead of the other by much. */
import type { Socket } from "node:net";
import type { Protocol, Request } from "./protocol.ts";
import { Stop } from "../lookup/deadline.ts";
import { READ_SIZE, readIntoOneBuffer } from "./one-buffer.ts";
import { ProtocolError, type RequestParser } from "./request-parser.ts";

/** Requests of one client that may await their answers at once. Postfix has one; further ones wait unparsed. */
export const MAX_AWAITED = 64;

/**
 * Requests of one client after which all others have their turn, as they have after a read of 64 KiB. libuv reads up to 2 MiB of a
 * client at a time: some hundred clients that send without pause would have everybody else wait for seconds.
 */
const REQUESTS_A_TURN = 20;

/** Bytes of replies after which they are written although more could follow. Up to here Node writes without allocating. */
const WRITE_SIZE = 16 * 1024;

/** A place in the order of replies. */
interface Awaited {
  reply: string | undefined;
}

export interface ConnectionEvents {
  /** The client broke the framing, which ends the connection. */
  onViolation(error: ProtocolError, socket: Socket): void;
  /** The connection is gone. */
  onClose(connection: Connection): void;
}

function ignore(): void {}

/**
 * Speaks `protocol` with a client until the client ends or breaks the framing. Never closes for idleness: Postfix would
 * defer mail (POSTFIX.md).
 *
 * A client that does not read its replies is no longer read, so what it can make us hold is bounded: of replies, the
 * socket's 64 KiB and one write beyond (16 KiB and one reply); of requests, a read of 64 KiB and what came of one before it;
 * and 64 answers, which are mostly shared with others who asked the same.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #protocol: Protocol;
  readonly #parser: RequestParser<Request | string>;
  readonly #events: ConnectionEvents;
  /** The oldest request without a written reply comes first. */
  readonly #awaited: Awaited[] = [];
  /** No further request will come: the client said so, broke the framing, or we are to stop. */
  #ended = false;
  /** Its replies fill the socket: the client does not read. */
  #blocked = false;
  #paused = false;
  /** Requests taken since others had their turn, and whether it is theirs now. */
  #taken = 0;
  #yielding = false;
  /** That the client is gone, for its questions that are not answered yet. */
  readonly #gone = new Stop();

  /** `socket` is a server's, and has read nothing yet. */
  constructor(socket: Socket, protocol: Protocol, events: ConnectionEvents) {
    this.#protocol = protocol;
    this.#parser = protocol.createParser();
    this.#events = events;
    this.#socket = socket;
    readIntoOneBuffer(socket, (chunk) => {
      // A read is a turn of its own: who asks for one thing at a time never makes way.
      this.#taken = 0;
      // Where a read fills the buffer, libuv would read more of this client before others have their turn.
      if (chunk.length === READ_SIZE) this.#yield();
      this.#parser.push(chunk);
      this.#advance();
      this.#parser.keep();
    });
    socket.on("end", () => {
      this.finish();
    });
    // The socket closes by itself after an error, and a client that is gone is nobody's trouble.
    socket.on("error", ignore);
    socket.on("close", () => {
      this.#gone.call();
      events.onClose(this);
    });
  }

  /** Reads no more, answers what was asked, then closes. Idempotent. */
  finish(): void {
    this.#ended = true;
    this.#advance();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Writes all that can be written now, with one write for many replies, then reads on, waits or closes. */
  #advance(): void {
    if (this.#socket.destroyed) return;
    let replies = "";
    while (!this.#blocked) {
      const reply = this.#nextReply();
      if (reply !== undefined) replies += reply;
      if (replies.length >= WRITE_SIZE || (reply === undefined && replies !== "")) {
        if (!this.#socket.write(replies, "latin1")) this.#block();
        replies = "";
      }
      if (reply === undefined) break;
    }
    // Nothing holds us up, so no whole request is left in the parser.
    const idle = !this.#blocked && !this.#yielding && this.#awaited.length < MAX_AWAITED;
    if (idle && this.#ended && this.#awaited.length === 0) this.#close();
    else this.#read(idle && !this.#ended);
  }

  /** The next reply in order, or undefined when it is not known yet or nothing more was asked. */
  #nextReply(): string | undefined {
    const oldest = this.#awaited[0];
    if (oldest?.reply !== undefined) {
      this.#awaited.shift();
      return oldest.reply;
    }
    while (this.#awaited.length < MAX_AWAITED) {
      if (this.#taken >= REQUESTS_A_TURN) {
        this.#yield();
        return undefined;
      }
      const request = this.#nextRequest();
      if (request === undefined) return undefined;
      const answer = this.#protocol.answer(request, this.#gone);
      if (typeof answer !== "string") void this.#await(answer);
      else if (this.#awaited.length === 0) return answer;
      else this.#awaited.push({ reply: answer });
    }
    return undefined;
  }

  #nextRequest(): Request | string | undefined {
    try {
      const request = this.#parser.next();
      if (request !== undefined) this.#taken++;
      return request;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#ended = true;
      this.#events.onViolation(error, this.#socket);
      return undefined;
    }
  }

  async #await(answer: Promise<string>): Promise<void> {
    const place: Awaited = { reply: undefined };
    this.#awaited.push(place);
    place.reply = await answer;
    if (this.#awaited[0] === place) this.#advance();
  }

  #yield(): void {
    if (this.#yielding) return;
    this.#yielding = true;
    setImmediate(() => {
      this.#yielding = false;
      this.#taken = 0;
      this.#advance();
    });
  }

  #block(): void {
    this.#blocked = true;
    this.#socket.once("drain", () => {
      this.#blocked = false;
      this.#advance();
    });
  }

  /** The kernel sends the rest and a FIN after it; only what Node still holds must be waited for. */
  #close(): void {
    if (this.#socket.writableLength === 0) return this.destroy();
    this.#read(false);
    this.#socket.destroySoon();
  }

  #read(on: boolean): void {
    if (on !== this.#paused) return;
    this.#paused = !on;
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }
}
