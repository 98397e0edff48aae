/** Netstrings (https://cr.yp.to/proto/netstrings.txt): `5:hello,`. */
import { RequestParser } from "./request-parser.ts";

const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const COMMA = 0x2c;

/** One netstring around `content`, a latin1 string. */
export function encodeNetstring(content: string): string {
  return `${content.length}:${content},`;
}

/** Takes the contents of netstrings out of a stream. Only `0:,` may have a length that begins with zero. */
export class NetstringParser<Request> extends RequestParser<Request> {
  next(): Request | undefined {
    const { octets, start } = this;
    let at = start;
    let length = 0;
    for (;;) {
      if (at === octets.length) return undefined;
      const octet = octets[at]!;
      if (octet === COLON && at > start) break;
      if (octet < ZERO || octet > NINE) this.fail("bad-length", "a netstring's length is not a number");
      if (length === 0 && at > start) this.fail("bad-length", "a netstring's length begins with zero");
      length = length * 10 + octet - ZERO;
      if (length > this.limit) this.fail("too-long", `a request is longer than ${this.limit} bytes`);
      at += 1;
    }
    const end = at + 1 + length;
    if (end >= octets.length) return undefined;
    if (octets[end] !== COMMA) this.fail("no-comma", "a netstring does not end with a comma");
    this.start = end + 1;
    return this.read(octets, at + 1, end);
  }
}
