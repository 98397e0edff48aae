/** One question to a running daemon over the protocol that Postfix uses. */
import { connect } from "node:net";
import type { NetConnectOpts } from "node:net";

import { encodeNetstring, NetstringParser } from "./netstring.ts";
import { asText, ProtocolError } from "./request-parser.ts";
import { LineParser, percentDecode, percentEncode } from "./tcp-table.ts";

export interface Question {
  readonly protocol: "socketmap" | "tcp_table";
  /** Where the daemon listens. */
  readonly server: NetConnectOpts;
  /** The map name; tcp_table has none. */
  readonly map: string;
  /** One char per octet (latin1). */
  readonly key: string;
  /** Milliseconds to wait for the reply. */
  readonly timeout: number;
}

/** A reply as the protocol words it: `OK …`, `NOTFOUND `, `TEMP …`, or `200 …`, `500 …`, `400 …`. Latin1. */
export type RawReply = string;

/** Postfix's own limits on replies, in bytes. */
const MAX_SOCKETMAP_REPLY = 100_000;
const MAX_TCP_TABLE_REPLY = 4_096;

/**
 * - `unreachable`: nobody listens there.
 * - `timeout`, `closed`: there was a connection, but no reply.
 * - `malformed`: the reply is not of the protocol; whoever listens there is no stsmapd.
 */
export type LookupClientErrorCode = "unreachable" | "timeout" | "closed" | "malformed";

/** The daemon did not answer. The caller says so; Postfix would defer the mail. */
export class LookupClientError extends Error {
  override readonly name = "LookupClientError";
  readonly code: LookupClientErrorCode;

  constructor(code: LookupClientErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Throws {@link LookupClientError} and nothing else. */
export async function ask({ protocol, server, map, key, timeout }: Question): Promise<RawReply> {
  const isSocketmap = protocol === "socketmap";
  const request = isSocketmap ? encodeNetstring(`${map} ${key}`) : `get ${percentEncode(key)}\n`;
  const parser = isSocketmap
    ? new NetstringParser(MAX_SOCKETMAP_REPLY, asText)
    : new LineParser(MAX_TCP_TABLE_REPLY, asText);
  const socket = connect(server);
  const timer = setTimeout(
    () => socket.destroy(new LookupClientError("timeout", `no reply within ${timeout / 1000} s`)),
    timeout,
  );
  let isConnected = false;
  socket.once("connect", () => {
    isConnected = true;
    socket.write(request, "latin1");
  });
  try {
    for await (const chunk of socket) {
      parser.push(chunk);
      const reply = parser.next();
      if (reply !== undefined) return isSocketmap ? reply : decodeLine(reply);
    }
    throw new LookupClientError("closed", "the connection was closed without a reply");
  } catch (error) {
    if (error instanceof LookupClientError) throw error;
    if (error instanceof ProtocolError)
      throw new LookupClientError("malformed", error.message, { cause: error });
    throw new LookupClientError(isConnected ? "closed" : "unreachable", reasonOf(error), { cause: error });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** Node gives the failure of a name with several addresses no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

function decodeLine(line: string): RawReply {
  const space = line.indexOf(" ");
  const text = percentDecode(line.slice(space + 1));
  if (space < 0 || text === undefined)
    throw new LookupClientError("malformed", "the reply is not of tcp_table");
  return `${line.slice(0, space)} ${text}`;
}
