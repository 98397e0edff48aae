import { readMessage } from "../../../src/net/dns/answer.ts";
import { decodeMessage, encodeQuery, isAnswerTo, isTruncated } from "../../../src/net/dns/message.ts";
import { DnsError, type RecordType } from "../../../src/net/dns/resolver.ts";
import { attempt, rule, type FuzzTarget } from "../target.ts";

const NAME = "a.b";
const ID = 0x3031;
const TYPES: readonly RecordType[] = ["A", "AAAA", "MX", "TXT", "TLSA", "CNAME", "SOA", "DNSKEY"];
const QUERIES = TYPES.map((type) => encodeQuery(ID, NAME, type, true));
const START = { name: NAME, aliases: 0, ttl: Infinity, authenticated: true };
const QUESTION_END = 12 + 5 + 4;

/** Header of an answer with `answers` records, and the question of type `type`. */
function head(type: number, answers: number, flags = "\x81\x80", authorities = 0): string {
  const counts = [1, answers, authorities, 0].map((count) => String.fromCharCode(count >> 8, count & 255));
  return `01${flags}${counts.join("")}\x01a\x01b\0\0${String.fromCharCode(type)}\0\x01`;
}

function record(type: number, data: string): string {
  return `\xc0\x0c\0${String.fromCharCode(type)}\0\x01\0\0\x0e\x10\0${String.fromCharCode(data.length)}${data}`;
}

const SOA = "\xc0\x0c\xc0\x0c\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x3c";

function lower(octets: Buffer): string {
  return octets.toString("latin1").toLowerCase();
}

/** RFC 5452 §9.1, read from the octets of the message. */
function repeats(message: Buffer, query: Buffer): boolean {
  return (
    message.length >= QUESTION_END &&
    message.readUInt16BE(0) === ID &&
    message.readUInt16BE(4) === 1 &&
    lower(message.subarray(12, QUESTION_END)) === lower(query.subarray(12, QUESTION_END))
  );
}

function checkAnswer(message: Buffer, type: RecordType): void {
  const { value, error } = attempt(() => decodeMessage(message), DnsError);
  if (error !== undefined) {
    rule(error.code === "malformed", `${error.code} while decoding`);
    return;
  }
  rule(value.answers.length + value.authorities.length <= 1000, "more records than are worth the work");
  const { value: reading, error: unread } = attempt(() => readMessage(value, START, type), DnsError);
  rule(unread === undefined || unread.code === "cname-loop", "fails to read what it decoded");
  if (reading === undefined || !("answer" in reading)) return;
  const { ttl, records, canonicalName, authenticated } = reading.answer;
  rule(ttl >= 0 && ttl <= 0x7fff_ffff, "a TTL that is none");
  rule(records.length <= value.answers.length, "records out of nowhere");
  rule(!authenticated || (message.readUInt16BE(2) & 0x0020) !== 0, "authenticated without the AD bit");
  const isAliased = value.answers.some((answer) => answer.type === "CNAME");
  rule(canonicalName === NAME || isAliased, "records of another name");
}

export const dnsMessage: FuzzTarget = {
  name: "dns-message",
  maxLength: 1_300,
  dictionary: [
    "\xc0\x0c",
    "\xc0\x00",
    "\xc0\x20",
    "\xff\xff",
    "\0",
    "\x3f",
    "\x40",
    "\x01a\x01b\0",
    "\0\x10\0\x01",
    "\0\x05\0\x01",
    "\0\x06\0\x01",
    "\0\x29",
    "\x80\0\0\0",
    record(5, "\xc0\x0c"),
    record(16, "\x01a"),
  ],
  seeds: [
    head(16, 1) + record(16, "\x10v=STSv1; id=abc;"),
    head(16, 2) + record(5, "\x01c\xc0\x0c") + record(16, "\x01a\x01b"),
    head(15, 1) + record(15, "\0\x0a\x02mx\xc0\x0c"),
    head(1, 1) + record(1, "\x7f\0\0\x01"),
    head(28, 1) + record(28, "\0".repeat(15) + "\x01"),
    head(52, 1) + record(52, "\x03\x01\x01" + "x".repeat(32)),
    head(6, 0, "\x81\xa3", 1) + record(6, SOA),
    head(6, 1) + record(6, SOA),
    head(48, 1) + record(48, "\x01\x01\x03\x08key"),
    head(16, 0, "\x83\x80"),
  ],
  check(input) {
    // Where a buffer is part of a larger one, what lies beside it must not matter.
    const amid = Buffer.concat([Buffer.alloc(16, 0xc0), input, Buffer.alloc(300, 0x01)]);
    const message = amid.subarray(16, 16 + input.length);
    const copy = Buffer.from(input);
    for (const [index, type] of TYPES.entries()) {
      const query = QUERIES[index]!;
      const isAnswer = isAnswerTo(message, query);
      rule(isAnswer === isAnswerTo(copy, query), "reads beside the message");
      if (!isAnswer) continue;
      isTruncated(message);
      const isBare = message.readUInt16BE(4) === 0 && [1, 4].includes(message.readUInt16BE(2) & 15);
      rule(repeats(message, query) || isBare, "an answer to another question");
      checkAnswer(message, type);
    }
    const [here, there] = [message, copy].map((octets) => {
      const { value, error } = attempt(() => decodeMessage(octets), DnsError);
      return error?.code ?? JSON.stringify(value);
    });
    rule(here === there, "decodes octets beside the message");
  },
};
