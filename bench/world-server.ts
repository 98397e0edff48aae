/**
 * Name server and policy hosts of all domains of the bench, as fast as Node lets them be: a process of its own, started by
 * world.ts. It counts what it is asked.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:https";
import { createSecureContext, type SecureContext } from "node:tls";
import * as packet from "dns-packet";
import { createCa } from "../test/helpers/certificates.ts";
import { policyOf, RECORD } from "./names.ts";

/** What the parent says first. */
export interface WorldOptions {
  readonly dnsAddress: string;
  readonly dnsPort: number;
  /** Policy hosts listen on all addresses. */
  readonly httpsPort: number;
  /** The first octets of policy hosts' addresses: `127.100` or `10.99`. Each domain has an address of its own. */
  readonly network: string;
}

export interface WorldCounts {
  /** Questions by type. */
  readonly questions: Readonly<Record<string, number>>;
  /** The most TXT questions for one name. */
  readonly mostTxt: number;
  readonly connections: number;
  readonly handshakes: number;
  readonly requests: number;
}

const TTL = 86_400;
const { RECURSION_DESIRED, RECURSION_AVAILABLE } = packet;
const FLAGS = RECURSION_DESIRED | RECURSION_AVAILABLE;
const NXDOMAIN = 3;
const SOA: packet.Answer = {
  type: "SOA",
  name: "bench.test",
  ttl: 3600,
  data: {
    mname: "ns.bench.test",
    rname: "x.bench.test",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 3600,
  },
};

const counts = {
  questions: new Map<string, number>(),
  txt: new Map<string, number>(),
  connections: 0,
  handshakes: 0,
  requests: 0,
};

function add(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}

function answersTo({ name, type }: packet.Question, network: string): packet.Answer[] | undefined {
  const host = /^mta-sts\.d(\d+)\.bench\.test$/i.exec(name);
  if (host !== null) {
    const number = Number(host[1]) % 65_000;
    const data = `${network}.${number >> 8}.${(number & 255) === 0 ? 1 : number & 255}`;
    return type === "A" ? [{ type, name, ttl: TTL, data }] : [];
  }
  if (!/^_mta-sts\.d\d+\.bench\.test$/i.test(name)) return undefined;
  return type === "TXT" ? [{ type, name, ttl: TTL, data: RECORD }] : [];
}

function answer(query: packet.DecodedPacket, network: string): Buffer {
  const [question] = query.questions ?? [];
  if (question === undefined) throw new TypeError("a query without a question");
  add(counts.questions, question.type);
  if (question.type === "TXT") add(counts.txt, question.name);
  const answers = answersTo(question, network);
  const reply: packet.Packet = { type: "response", id: query.id ?? 0, questions: [question], flags: FLAGS };
  if (answers === undefined) return packet.encode({ ...reply, flags: FLAGS | NXDOMAIN, authorities: [SOA] });
  return packet.encode({ ...reply, answers, authorities: answers.length > 0 ? [] : [SOA] });
}

function startNameServer({ dnsAddress, dnsPort, network }: WorldOptions): Promise<void> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 2 ** 22 });
  socket.on("message", (message, peer) => {
    socket.send(answer(packet.decode(message), network), peer.port, peer.address);
  });
  return new Promise((resolve) => {
    socket.bind(dnsPort, dnsAddress, () => resolve());
  });
}

/** Returns the certificate of the authority that signed all others. */
function startPolicyHosts({ httpsPort }: WorldOptions): Promise<string> {
  const root = createCa("Throw-away bench root");
  // Public authorities send an intermediate along, and clients verify both.
  const ca = root.intermediate();
  const contexts = new Map<string, SecureContext>();
  const contextOf = (name: string): SecureContext => {
    const known = contexts.get(name) ?? createSecureContext(ca.issue({ names: [name] }));
    contexts.set(name, known);
    return known;
  };
  const server = createServer({
    ...ca.issue({ names: ["nobody.invalid"] }),
    SNICallback: (name, callback) => callback(null, contextOf(name)),
  });
  server.on("connection", () => counts.connections++);
  server.on("secureConnection", () => counts.handshakes++);
  server.on("tlsClientError", () => {});
  server.on("request", (request, response) => {
    counts.requests++;
    const domain = (request.headers.host ?? "").replace(/^mta-sts\./, "").replace(/:\d+$/, "");
    response.writeHead(200, { "content-type": "text/plain" }).end(policyOf(domain));
  });
  return new Promise((resolve) => {
    server.listen({ port: httpsPort, host: "0.0.0.0", backlog: 4096 }, () => resolve(root.pem));
  });
}

function report(): WorldCounts {
  let mostTxt = 0;
  for (const count of counts.txt.values()) mostTxt = Math.max(mostTxt, count);
  return { ...counts, questions: Object.fromEntries(counts.questions), mostTxt };
}

function forget(): void {
  counts.questions.clear();
  counts.txt.clear();
  Object.assign(counts, { connections: 0, handshakes: 0, requests: 0 });
}

process.on("message", (message: WorldOptions | "counts") => {
  if (message === "counts") {
    process.send?.(report());
    forget();
  } else {
    void Promise.all([startPolicyHosts(message), startNameServer(message)]).then(([ca]) =>
      process.send?.(ca),
    );
  }
});
process.on("disconnect", () => process.exit());
process.send?.("running");
