/** DNS messages over dns-packet: our query into octets, octets into an answer to it. No sockets, no time. */
import * as packet from "dns-packet";
import { DnsError, type RecordType } from "./resolver.ts";

/** The UDP size we announce: no fragments on any usual path (RFC 9715). */
const EDNS_UDP_SIZE = 1232;
/** More records than any answer to our questions has; bounds the work that a hostile message can cause. */
const MAX_RECORDS = 1000;
const HEADER_SIZE = 12;
const FLAG_QR = 0x8000;
const FLAG_TC = 0x0200;
const OPCODE_MASK = 0x7800;
const RCODE_MASK = 0x000f;

/** The status codes that change what we do (RFC 1035 §4.1.1, RFC 6891 §9). */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

/** `SERVFAIL`; `status 9` for a code that is not among {@link Rcode}. */
export function rcodeName(rcode: number): string {
  return Object.entries(Rcode).find(([, code]) => code === rcode)?.[0] ?? `status ${rcode}`;
}

export interface DnsMessage {
  /** With the upper bits of EDNS0 (RFC 6891 §6.1.3). */
  readonly rcode: number;
  readonly authenticated: boolean;
  readonly answers: readonly packet.Answer[];
  readonly authorities: readonly packet.Answer[];
}

/**
 * One query with recursion desired. The AD bit asks for the AD bit in the answer (RFC 6840 §5.7) and spares us the
 * signatures that DO would bring.
 */
export function encodeQuery(id: number, name: string, type: RecordType, edns: boolean): Buffer {
  const opt: packet.OptAnswer = {
    type: "OPT",
    name: ".",
    udpPayloadSize: EDNS_UDP_SIZE,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return packet.encode({
    type: "query",
    id,
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ type, name: name === "" ? "." : name }],
    additionals: edns ? [opt] : [],
  });
}

/**
 * Whether `message` answers `query`: a response with the same id that repeats the question (RFC 5452 §9.1), letter case
 * aside. A server that cannot read EDNS may send the header alone (RFC 6891 §7): taken for FORMERR and NOTIMP only.
 */
export function isAnswerTo(message: Buffer, query: Buffer): boolean {
  if (message.length < HEADER_SIZE || message.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_QR) === 0 || (flags & OPCODE_MASK) !== 0) return false;
  const questions = message.readUInt16BE(4);
  const rcode = flags & RCODE_MASK;
  if (questions === 0) return rcode === Rcode.FORMERR || rcode === Rcode.NOTIMP;
  return questions === 1 && question(message, query) === question(query, query);
}

/** The octets of the message that stand where the query has its question: never compressed, so comparable as they are. */
function question(message: Buffer, query: Buffer): string {
  // The root label ends the name; 16 bits each of type and class follow, none of which is the code of a capital letter.
  const end = query.indexOf(0, HEADER_SIZE) + 5;
  return message.toString("latin1", HEADER_SIZE, end).toLowerCase();
}

/** The TC bit of a message that has a header: the rest did not fit, ask over TCP. */
export function isTruncated(message: Buffer): boolean {
  return (message.readUInt16BE(2) & FLAG_TC) !== 0;
}

/** Decodes an answer. Throws {@link DnsError} `malformed` and nothing else. */
export function decodeMessage(message: Buffer): DnsMessage {
  try {
    const records = [6, 8, 10].reduce((sum, offset) => sum + message.readUInt16BE(offset), 0);
    if (records > MAX_RECORDS) throw new RangeError(`${records} records`);
    const decoded = packet.decode(message);
    // Some of dns-packet's decoders read past the end without a word.
    if (packet.decode.bytes > message.length) throw new RangeError("a record is longer than the message");
    const opt = decoded.additionals?.find((record) => record.type === "OPT");
    return {
      rcode: (message.readUInt16BE(2) & RCODE_MASK) | ((opt?.extendedRcode ?? 0) << 4),
      authenticated: decoded.flag_ad,
      answers: decoded.answers ?? [],
      authorities: decoded.authorities ?? [],
    };
  } catch (error) {
    throw new DnsError("malformed", "the answer cannot be decoded", { cause: error });
  }
}
