/** Postfix's tcp_table protocol (tcp_table(5)): a line asks, a line answers, `%XX` stands for what is not plain. */
import type { LookupService } from "../lookup/lookup-service.ts";
import { Question } from "../lookup/question.ts";
import type { Reply } from "../policy/reply.ts";
import { answerWith, Request, type Protocol } from "./protocol.ts";
import { RecentRequests } from "./recent-requests.ts";
import { RequestParser } from "./request-parser.ts";

const NEWLINE = 0x0a;

/** Bytes without the newline: `get ` and a key of 10,000 octets (socketmap's limit), each of them written as %XX. */
const MAX_REQUEST_LINE = 4 + 3 * 10_000;

/** Bytes with the newline. Postfix takes a longer line for a malformed one and asks nine times more. */
const MAX_REPLY_LINE = 4_096;

/** What goes as it is: printable ASCII but space and `%`. */
const TO_ENCODE = /[^\x21-\x24\x26-\x7e]/g;
const BADLY_ENCODED = /[^\x21-\x7e]|%(?![0-9A-Fa-f]{2})/;

const READ_ONLY = replyLine(500, "put is not supported: this table is read-only");
const MALFORMED = replyLine(400, "malformed request: want get, a space and a key, %XX-encoded");

/** Writes a latin1 string in the protocol's encoding. */
export function percentEncode(octets: string): string {
  return octets.replace(TO_ENCODE, (octet) => {
    const hex = octet.charCodeAt(0).toString(16).toUpperCase();
    return hex.length === 1 ? `%0${hex}` : `%${hex}`;
  });
}

/** The latin1 string that `text` encodes; undefined when a `%` lacks its two hex digits or an octet should have been encoded. */
export function percentDecode(text: string): string | undefined {
  if (BADLY_ENCODED.test(text)) return undefined;
  if (!text.includes("%")) return text;
  return text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Takes lines, without their newline, out of a stream. */
export class LineParser<Request> extends RequestParser<Request> {
  next(): Request | undefined {
    const { octets, start } = this;
    const newline = octets.indexOf(NEWLINE, start);
    const end = newline === -1 ? octets.length : newline;
    if (end - start > this.limit) this.fail("too-long", `a request is longer than ${this.limit} bytes`);
    if (newline === -1) return undefined;
    this.start = newline + 1;
    return this.read(octets, start, end);
  }
}

/**
 * The line that tells Postfix `reply`. A policy that does not fit into 4,096 bytes goes without its `policy_string`
 * attributes; if that does not fit either, the line is a 400: half a policy is another policy.
 */
export function encodeTcpTableReply(reply: Reply): string {
  switch (reply.status) {
    case "OK": {
      const lines = [reply.text, reply.shortText].map((text) => replyLine(200, text));
      const tooLong = "the TLS policy is too long for tcp_table: use socketmap";
      return lines.find((line) => line.length <= MAX_REPLY_LINE) ?? replyLine(400, tooLong);
    }
    case "NOTFOUND":
      // Postfix takes 500 without a text for malformed.
      return replyLine(500, "not found");
    case "TEMP":
      return replyLine(400, reply.reason);
  }
}

function replyLine(code: 200 | 400 | 500, text: string): string {
  return `${code} ${percentEncode(Buffer.from(text, "utf8").toString("latin1"))}\n`;
}

/**
 * Serves the map `map` of `service`: the protocol itself knows no map names. A line over the limit ends the connection
 * without a word: Postfix has no key as long as that.
 */
export function tcpTable(service: LookupService, map: string): Protocol {
  const recent = new RecentRequests((line): Request | string => {
    if (line.startsWith("put ")) return READ_ONLY;
    const key = line.startsWith("get ") ? percentDecode(line.slice(4)) : undefined;
    return key === undefined ? MALFORMED : new Request(new Question(map, key));
  });
  return {
    createParser: () => new LineParser(MAX_REQUEST_LINE, recent.find),
    answer: answerWith(service, encodeTcpTableReply),
  };
}
