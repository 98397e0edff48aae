/**
 * Lookup clients as strict as Postfix's (dict_sockmap.c, dict_tcp.c), with one request outstanding, and a raw one that
 * sends what a test likes. Addresses are written as in configuration.
 *
 *     using client = await SocketmapClient.connect("127.0.0.1:8461");
 *     expect(await client.query("postfix", "example.com")).toEqual({ status: "NOTFOUND", text: "" });
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { parseListenAddress } from "../../src/net/listen-address.ts";

/** Bytes, the netstring's framing not counted. Postfix refuses longer replies. */
const MAX_SOCKETMAP_REPLY = 100_000;

/** Bytes, the newline counted. */
const MAX_TCP_TABLE_REPLY = 4_096;

/** The server broke the protocol, or the connection ended before the reply did. Postfix would defer the mail. */
class PostfixClientError extends Error {
  override readonly name = "PostfixClientError";
}

/** Sends anything, keeps all that comes. Octets are latin1 strings. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  /** Resolves when the connection is gone, be it by error. */
  readonly closed: Promise<void>;
  /** The server's end of the stream came. */
  ended = false;
  /** The error by which the connection ended, such as ECONNRESET; "" where there was none. */
  errorCode = "";
  /** What came and was not taken. */
  received = "";
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on("close", () => resolve());
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", (error) => {
      this.errorCode = "code" in error ? String(error.code) : "";
    });
    socket.on("close", () => {
      this.ended = true;
      this.#wake();
    });
  }

  /** With `halfOpen`, the client's side stays open when the server ends its own. */
  static async connect(address: string, options: { readonly halfOpen?: boolean } = {}): Promise<RawClient> {
    const where = parseListenAddress(address);
    if (where === undefined) throw new PostfixClientError(`not an address: ${address}`);
    const socket = connect({ ...where, allowHalfOpen: options.halfOpen ?? false });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  write(octets: string): void {
    this.socket.write(octets, "latin1");
  }

  /** Sends FIN after what was written. */
  end(): void {
    this.socket.end();
  }

  /** Waits until `length` says how many octets of `received` are wanted, and takes them. */
  async take(length: (received: string) => number | undefined): Promise<string> {
    for (;;) {
      const count = length(this.received);
      if (count !== undefined && count <= this.received.length) {
        const taken = this.received.slice(0, count);
        this.received = this.received.slice(count);
        return taken;
      }
      if (this.ended) throw new PostfixClientError(`connection ended after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

export interface SocketmapReply {
  readonly status: "OK" | "NOTFOUND" | "TEMP" | "TIMEOUT" | "PERM";
  readonly text: string;
}

export class SocketmapClient implements Disposable {
  readonly raw: RawClient;
  #busy = false;

  private constructor(raw: RawClient) {
    this.raw = raw;
  }

  static async connect(address: string): Promise<SocketmapClient> {
    return new SocketmapClient(await RawClient.connect(address));
  }

  /** Asks for `key` in the map `map`; `key` is a latin1 string. Throws {@link PostfixClientError} where Postfix would give up. */
  async query(map: string, key: string): Promise<SocketmapReply> {
    if (this.#busy) throw new PostfixClientError("Postfix has one request outstanding");
    this.#busy = true;
    const request = `${map} ${key}`;
    this.raw.write(`${request.length}:${request},`);
    const reply = await takeNetstring(this.raw);
    this.#busy = false;
    const match = /^(OK|NOTFOUND|TEMP|TIMEOUT|PERM) (.*)$/s.exec(reply);
    if (match === null) throw new PostfixClientError(`malformed reply: ${JSON.stringify(reply)}`);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pattern above allows nothing else
    return { status: match[1] as SocketmapReply["status"], text: match[2]! };
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }
}

/** Takes the content of the next netstring. */
export async function takeNetstring(raw: RawClient): Promise<string> {
  let framing = 0;
  const netstring = await raw.take((received) => {
    const head = /^(0|[1-9][0-9]{0,5}):/.exec(received);
    if (head === null) {
      if (received.length > 6 || /[^0-9]/.test(received))
        throw new PostfixClientError(`no netstring: ${JSON.stringify(received.slice(0, 100))}`);
      return undefined;
    }
    const length = Number(head[1]);
    if (length > MAX_SOCKETMAP_REPLY) throw new PostfixClientError(`a reply of ${length} bytes`);
    framing = head[0].length;
    return framing + length + 1;
  });
  if (!netstring.endsWith(",")) throw new PostfixClientError("a netstring without its comma");
  return netstring.slice(framing, -1);
}

export interface TcpTableReply {
  readonly code: 200 | 400 | 500;
  /** Decoded, a latin1 string. */
  readonly text: string;
}

export class TcpTableClient implements Disposable {
  readonly raw: RawClient;
  #busy = false;

  private constructor(raw: RawClient) {
    this.raw = raw;
  }

  static async connect(address: string): Promise<TcpTableClient> {
    return new TcpTableClient(await RawClient.connect(address));
  }

  /** Asks for `key`, a latin1 string. Throws {@link PostfixClientError} where Postfix would give up or try again. */
  async query(key: string): Promise<TcpTableReply> {
    if (this.#busy) throw new PostfixClientError("Postfix has one request outstanding");
    this.#busy = true;
    this.raw.write(`get ${quote(key)}\n`);
    const reply = await takeLine(this.raw);
    this.#busy = false;
    const match = /^(200|400|500) ((?:[!-$&-~]|%[0-9A-Fa-f]{2})+)$/.exec(reply);
    if (match === null) throw new PostfixClientError(`malformed reply: ${JSON.stringify(reply)}`);
    const text = match[2]!.replace(/%(..)/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the pattern above allows nothing else
    return { code: Number(match[1]) as TcpTableReply["code"], text };
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }
}

/** Takes the next line and returns it without its newline. */
export async function takeLine(raw: RawClient): Promise<string> {
  const line = await raw.take((received) => {
    const newline = received.indexOf("\n");
    const length = newline === -1 ? received.length : newline + 1;
    if (length > MAX_TCP_TABLE_REPLY) throw new PostfixClientError("a reply line over 4,096 bytes");
    return newline === -1 ? undefined : length;
  });
  return line.slice(0, -1);
}

/** As Postfix's hex_quote: `%`, white space and what is not printable ASCII. */
function quote(octets: string): string {
  return octets.replace(
    /[^!-$&-~]/g,
    (octet) => `%${octet.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}
