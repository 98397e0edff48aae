/**
 * Name server and policy hosts of all domains of the soak: a process of its own, started by {@link SoakWorld}, which tells it
 * when they are to be down. It keeps nothing of what it was asked, so that it can run for days.
 */
import { type ChildProcess, fork } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import * as packet from "dns-packet";
import { createCa } from "../../helpers/certificates.ts";
import { domainOf, HOST_TTL, mxOf, policyOf, recordOf, TTL, versionOf } from "./names.ts";

/** `dns-silent`: the name server takes questions and says nothing. `dns-down`, `hosts-down`: nobody listens. */
type Order = "dns-up" | "dns-down" | "dns-silent" | "hosts-up" | "hosts-down" | "policies-change";

interface Ready {
  /** `host:port`. */
  readonly dns: string;
  readonly httpsPort: number;
  readonly ca: string;
}

/** The process, as seen by its parent. Ends with an `await using` block. */
export class SoakWorld implements AsyncDisposable {
  readonly ready: Ready;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, ready: Ready) {
    this.#child = child;
    this.ready = ready;
  }

  static async start(): Promise<SoakWorld> {
    const child = fork(import.meta.filename, { stdio: "inherit" });
    const [ready]: Ready[] = await once(child, "message");
    if (ready === undefined) throw new TypeError("a world that says nothing");
    return new SoakWorld(child, ready);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it is so, or the process has ended. */
  async order(order: Order): Promise<void> {
    if (!this.isRunning) return;
    const done = new AbortController();
    const { signal } = done;
    const answered = Promise.race(
      ["message", "exit"].map((event) => once(this.#child, event, { signal }).catch(() => undefined)),
    );
    this.#child.send(order);
    await answered;
    done.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

const { RECURSION_DESIRED, RECURSION_AVAILABLE, AUTHENTIC_DATA } = packet;
const FLAGS = RECURSION_DESIRED | RECURSION_AVAILABLE;
const NXDOMAIN = 3;
const SOA: packet.Answer = {
  type: "SOA",
  name: ".",
  ttl: 3600,
  data: { mname: "ns.test", rname: "x.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 3600 },
};

/** How many parts of the known domains have changed their policies. */
let changes = 0;

/** Undefined: there is no such name. The zone is not signed, but the root is, so that DANE is looked for. */
function answersTo({ name, type }: packet.Question): packet.Answer[] | undefined {
  if (name === "." || name === "") return type === "SOA" ? [SOA] : [];
  const domain = domainOf(name);
  if (domain === undefined || domain.kind === "bare") return undefined;
  const version = versionOf(domain, changes);
  if (name.startsWith("_mta-sts.")) {
    return type === "TXT" ? [{ type, name, ttl: TTL, data: recordOf(version) }] : [];
  }
  if (name.startsWith("mta-sts.")) {
    const data = `127.100.${(domain.number >> 8) & 255}.${domain.number & 255 || 1}`;
    return type === "A" ? [{ type, name, ttl: HOST_TTL, data }] : [];
  }
  if (name.startsWith("_")) return undefined;
  if (name.startsWith("mx")) return type === "A" ? [{ type, name, ttl: HOST_TTL, data: "192.0.2.1" }] : [];
  if (type !== "MX") return [];
  return [{ type, name, ttl: HOST_TTL, data: { preference: 10, exchange: mxOf(domain, version) } }];
}

function answer(query: packet.DecodedPacket): Buffer {
  const [question] = query.questions ?? [];
  if (question === undefined) throw new TypeError("a query without a question");
  const answers = answersTo(question);
  const isSigned = question.name === "." || question.name === "";
  const flags = FLAGS | (isSigned ? AUTHENTIC_DATA : 0) | (answers === undefined ? NXDOMAIN : 0);
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    questions: [question],
    flags,
    answers: answers ?? [],
    authorities: answers === undefined || answers.length === 0 ? [SOA] : [],
  });
}

let silent = false;

/** An address of loopback that nobody else uses, so that its ports are free again after a pause. */
const DNS_ADDRESS = "127.61.8.53";

/** Below those that systems give to clients. */
function anyPort(): number {
  return 10_000 + Math.floor(Math.random() * 20_000);
}

/** Tries again while somebody else has the port, for ten seconds. */
async function patiently<T>(listen: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listen();
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(100);
    }
  }
}

async function nameServer(port: number): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 2 ** 22 });
  socket.on("message", (message, peer) => {
    if (!silent) socket.send(answer(packet.decode(message)), peer.port, peer.address);
  });
  socket.bind(port, DNS_ADDRESS);
  await once(socket, "listening");
  return socket;
}

/** Names are never the same for long, so that no certificate is worth keeping. */
function policyHosts() {
  const ca = createCa("Throw-away soak root");
  const server = createServer({
    ...ca.issue({ names: ["nobody.invalid"] }),
    SNICallback: (name, callback) => callback(null, createSecureContext(ca.issue({ names: [name] }))),
  });
  server.on("tlsClientError", () => {});
  server.on("request", (request, response) => {
    const domain = domainOf((request.headers.host ?? "").replace(/:\d+$/, ""));
    response.setHeader("content-type", "text/plain");
    if (domain === undefined) response.writeHead(404).end();
    else response.end(policyOf(domain, versionOf(domain, changes)));
  });
  return { server, root: ca.pem };
}

async function serve(): Promise<void> {
  const { server, root } = policyHosts();
  const listen = async (port: number): Promise<number> => {
    server.listen({ port, host: "0.0.0.0", backlog: 1024 });
    await once(server, "listening");
    return port;
  };
  let dns = await patiently(() => nameServer(anyPort()));
  const httpsPort = await patiently(() => listen(anyPort()));
  const dnsPort = dns.address().port;
  const ready: Ready = { dns: `${DNS_ADDRESS}:${dnsPort}`, httpsPort, ca: root };
  const orders: Record<Order, () => Promise<void> | void> = {
    "dns-down": () =>
      new Promise((resolve) => {
        dns.close(() => resolve());
      }),
    "dns-silent": () => {
      silent = true;
    },
    "dns-up": async () => {
      if (silent) silent = false;
      else dns = await patiently(() => nameServer(dnsPort));
    },
    "hosts-down": async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
    "hosts-up": async () => {
      await patiently(() => listen(httpsPort));
    },
    "policies-change": () => {
      changes++;
    },
  };
  const obey = async (order: Order): Promise<void> => {
    await orders[order]();
    process.send?.("done");
  };
  process.on("message", (order: Order) => void obey(order));
  process.on("disconnect", () => process.exit());
  process.send?.(ready);
}

if (import.meta.main) await serve();
