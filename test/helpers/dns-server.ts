/**
 * A recursive name server as a client sees one, on UDP and TCP of one loopback port, with a zone that tests change as
 * they go:
 *
 *     await using dns = await startDnsServer();
 *     dns.zone.txt("_mta-sts.example.com", "v=STSv1; id=1;", { ttl: 60 });
 *     dns.behave("broken.example", "servfail");
 *     expect(dns.queries("_mta-sts.example.com", "TXT")).toBe(1);
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as packet from "dns-packet";
import { key, Zone } from "./dns-zone.ts";

/**
 * How a name is answered when not by the book.
 * - `drop`: not at all. `delayMs`: late. `after`: once that is over, all of them at once.
 * - `servfail`, `refused`, `formerr`, `notimp`: with that status. `formerr-edns`: FORMERR, header only, to queries with EDNS.
 *   `badvers`: to queries with EDNS.
 * - `truncate`: TC and nothing else over UDP, all of it over TCP.
 * - `wrong-id`, `wrong-question`: only so. `spoof`: both of them with forged records, then the true answer.
 * - `garbage`: the right header and question, then noise. `noise`: random octets, then the true answer.
 * - `bare-alias`: the first CNAME alone, as some forwarders do. `no-soa`: negative answers without SOA.
 * - `tcp-pieces`: the TCP answer an octet at a time. `tcp-eof`: half of it, then the end. `tcp-silent`: none.
 */
export type Behaviour =
  | "drop"
  | { readonly delayMs: number }
  | { readonly after: Promise<void> }
  | "servfail"
  | "refused"
  | "formerr"
  | "notimp"
  | "formerr-edns"
  | "badvers"
  | "truncate"
  | "wrong-id"
  | "wrong-question"
  | "spoof"
  | "garbage"
  | "noise"
  | "bare-alias"
  | "no-soa"
  | "tcp-pieces"
  | "tcp-eof"
  | "tcp-silent";

/** One question that arrived. */
export interface ReceivedQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
  readonly id: number;
  /** The client's port. */
  readonly port: number;
  readonly adBit: boolean;
  /** The UDP size announced by EDNS0, undefined without EDNS0. */
  readonly udpSize: number | undefined;
}

/** Starts a server; `port` 0 takes a free one. It runs until `stop()` or the end of an `await using` block. */
export async function startDnsServer(options: { address?: string; port?: number } = {}): Promise<DnsServer> {
  const address = options.address ?? "127.0.0.1";
  for (let attempt = 1; ; attempt++) {
    const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
    const tcp = createServer();
    try {
      // TCP first: of its ports more are taken, by connections too.
      tcp.listen(options.port ?? 0, address);
      await once(tcp, "listening");
      udp.bind(tcpPort(tcp), address);
      await once(udp, "listening");
      return new DnsServer(address, udp, tcp);
    } catch (error) {
      udp.close();
      tcp.close();
      // A free TCP port may be taken on UDP.
      if (attempt === 10 || (options.port ?? 0) !== 0) throw error;
    }
  }
}

function tcpPort(server: Server): number {
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("a TCP server without a port");
  return bound.port;
}

export class DnsServer implements AsyncDisposable {
  readonly zone = new Zone();
  readonly address: string;
  readonly port: number;
  /** Every question so far, oldest first. */
  readonly log: ReceivedQuery[] = [];

  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  readonly #behaviours = new Map<string, readonly Behaviour[]>();
  readonly #arrivals = new EventEmitter();
  #stopped: Promise<void> | undefined;

  constructor(address: string, udp: UdpSocket, tcp: Server) {
    this.address = address;
    this.port = udp.address().port;
    this.#udp = udp;
    this.#tcp = tcp;
    this.#arrivals.setMaxListeners(0);
    udp.on("message", (message, peer) => {
      void this.#answer(message, "udp", peer.port, (reply) => {
        if (this.#stopped === undefined) udp.send(reply, peer.port, peer.address);
      });
    });
    tcp.on("connection", (socket) => this.#serve(socket));
  }

  /** `127.0.0.1:5353` or `[::1]:5353`. */
  get hostPort(): string {
    return `${this.address.includes(":") ? `[${this.address}]` : this.address}:${this.port}`;
  }

  /** From now on answers `name` (`*`: every name without its own rule) so; with no behaviour, by the book again. */
  behave(name: string, ...behaviours: Behaviour[]): void {
    this.behaveFor(name, "*", ...behaviours);
  }

  /** As {@link behave}, for one record type of the name only. */
  behaveFor(name: string, type: string, ...behaviours: Behaviour[]): void {
    if (behaviours.length === 0) this.#behaviours.delete(`${key(name)}/${type}`);
    else this.#behaviours.set(`${key(name)}/${type}`, behaviours);
  }

  /** How many questions arrived; of this name and type, where given. */
  queries(name?: string, type?: string): number {
    return this.log.filter(
      (query) =>
        (name === undefined || query.name === key(name)) && (type === undefined || query.type === type),
    ).length;
  }

  /** Resolves when the next question for `name` arrives, whatever becomes of it. */
  async nextQuery(name: string): Promise<void> {
    await once(this.#arrivals, key(name));
  }

  /** Ends all sockets. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      const closed = [once(this.#udp, "close"), once(this.#tcp, "close")];
      this.#udp.close();
      this.#tcp.close();
      for (const socket of this.#connections) socket.destroy();
      await Promise.all(closed);
    })();
    return this.#stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    let received = Buffer.alloc(0);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
        const end = 2 + received.readUInt16BE();
        const message = received.subarray(2, end);
        received = received.subarray(end);
        void this.#answer(message, "tcp", socket.remotePort ?? 0, (reply, how) => {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          void sendByTcp(socket, Buffer.concat([length, reply]), how);
        });
      }
    });
  }

  async #answer(
    message: Buffer,
    transport: "udp" | "tcp",
    port: number,
    send: (reply: Buffer, how: readonly Behaviour[]) => void,
  ): Promise<void> {
    const query = packet.decode(message);
    const question = query.questions?.[0];
    if (question === undefined) return;
    const name = key(question.name);
    const opt = query.additionals?.find((record) => record.type === "OPT");
    const udpSize = opt?.udpPayloadSize;
    const { id = 0, flag_ad: adBit } = query;
    this.log.push({ name, type: question.type, transport, id, port, adBit, udpSize });
    this.#arrivals.emit(name);

    const how = this.#rule(name, question.type);
    for (const rule of how)
      if (typeof rule === "object") await ("after" in rule ? rule.after : sleep(rule.delayMs));
    for (const reply of this.#replies(query, question, how, transport, udpSize)) send(reply, how);
  }

  #rule(name: string, type: string): readonly Behaviour[] {
    const keys = [`${name}/${type}`, `${name}/*`, `*/${type}`, "*/*"];
    return keys.map((rule) => this.#behaviours.get(rule)).find((rule) => rule !== undefined) ?? [];
  }

  #replies(
    query: packet.DecodedPacket,
    question: packet.Question,
    how: readonly Behaviour[],
    transport: "udp" | "tcp",
    udpSize: number | undefined,
  ): Buffer[] {
    const edns = udpSize !== undefined;
    const { RECURSION_DESIRED, RECURSION_AVAILABLE, AUTHENTIC_DATA, TRUNCATED_RESPONSE } = packet;
    const flags = RECURSION_DESIRED | RECURSION_AVAILABLE;
    const reply = (part: packet.Packet, extendedRcode = 0): Buffer => {
      const opt: packet.OptAnswer = { ...OPT, extendedRcode };
      const base: packet.Packet = { type: "response", id: query.id, questions: [question], flags };
      return packet.encode({ ...base, additionals: edns ? [opt] : [], ...part });
    };
    const status = (rcode: number): Buffer => reply({ flags: flags | rcode });

    if (how.includes("drop")) return [];
    if (how.includes("servfail")) return [status(SERVFAIL)];
    if (how.includes("refused")) return [status(REFUSED)];
    if (how.includes("formerr")) return [status(FORMERR)];
    if (how.includes("notimp")) return [status(NOTIMP)];
    if (how.includes("badvers") && edns) return [reply({}, 1)];
    if (how.includes("formerr-edns") && edns) {
      return [reply({ flags: flags | FORMERR, questions: [], additionals: [] })];
    }
    if (how.includes("garbage")) {
      const noise = Buffer.concat([reply({ additionals: [] }), Buffer.alloc(40, 0xc5)]);
      noise.writeUInt16BE(3, 6);
      return [noise];
    }
    if (how.includes("truncate") && transport === "udp")
      return [reply({ flags: flags | TRUNCATED_RESPONSE })];

    const found = this.zone.answer(question.name, question.type);
    const forged: packet.Packet = { answers: forge(question) };
    const wrongId: packet.Packet = { ...forged, id: ((query.id ?? 0) + 1) % 65_536 };
    const wrongQuestion: packet.Packet = {
      ...forged,
      questions: [{ ...question, name: `x${question.name}` }],
    };
    if (how.includes("wrong-id")) return [reply(wrongId)];
    if (how.includes("wrong-question")) return [reply(wrongQuestion)];

    // RFC 6840 §5.7: the AD bit in the query asks for the AD bit in the answer.
    const ad = found.authenticated && query.flag_ad ? AUTHENTIC_DATA : 0;
    const answers = how.includes("bare-alias") ? found.answers.slice(0, 1) : found.answers;
    const authorities = how.includes("no-soa") || how.includes("bare-alias") ? [] : found.authorities;
    const nxdomain = found.missing && !how.includes("bare-alias") ? NXDOMAIN : 0;
    let answer = reply({ flags: flags | ad | nxdomain, answers, authorities });
    if (transport === "udp" && answer.length > Math.max(512, udpSize ?? 512)) {
      answer = reply({ flags: flags | ad | TRUNCATED_RESPONSE });
    }
    if (how.includes("spoof")) return [reply(wrongId), reply(wrongQuestion), answer];
    if (how.includes("noise"))
      return [Buffer.alloc(0), Buffer.from([1, 2, 3]), Buffer.alloc(64, 0xff), answer];
    return [answer];
  }
}

const OPT: packet.OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
const FORMERR = 1;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const NOTIMP = 4;
const REFUSED = 5;

/** What an attacker would like to be believed. */
function forge({ name }: packet.Question): packet.Answer[] {
  return [
    { type: "A", name, ttl: 86_400, data: "192.0.2.66" },
    { type: "TXT", name, ttl: 86_400, data: "forged" },
    { type: "MX", name, ttl: 86_400, data: { preference: 1, exchange: "forged.invalid" } },
  ];
}

async function sendByTcp(socket: Socket, data: Buffer, how: readonly Behaviour[]): Promise<void> {
  if (how.includes("tcp-silent")) return;
  if (how.includes("tcp-eof")) {
    socket.end(data.subarray(0, data.length / 2));
  } else if (how.includes("tcp-pieces")) {
    socket.setNoDelay(true);
    for (const octet of data) {
      if (socket.destroyed) return;
      await new Promise((resolve) => socket.write(Buffer.of(octet), resolve));
    }
  } else {
    socket.write(data);
  }
}
