/** Attacks by what is asked. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Attack,
  Attacker,
  connectMany,
  notFound,
  request,
  type Seen,
  scaled,
  type Target,
} from "./attack.ts";

/** Connections of a flood, and requests on each that have no answer yet. */
const FLOODERS = 64;
const OUTSTANDING = 32;

interface Flood extends Seen {
  /** How many requests were. */
  readonly answered: number;
}

/** Asks without end for what `key` makes, on many connections; every answer must be NOTFOUND. */
async function flood(target: Target, signal: AbortSignal, key: () => string): Promise<Flood> {
  const all = await connectMany(target, FLOODERS);
  let asked = 0;
  let answered = 0;
  const begin = performance.now();
  await Promise.all(
    all.map(async (attacker) => {
      attacker.read();
      const reply = notFound(attacker.protocol);
      for (let own = 0; !signal.aborted && !attacker.isClosed;) {
        const done = attacker.received / reply.length;
        const room = OUTSTANDING - (own - Math.floor(done));
        if (room > 0) attacker.write(requests(attacker, room, key));
        own += Math.max(0, room);
        asked += Math.max(0, room);
        await sleep(2);
      }
      answered += Math.floor(attacker.received / reply.length);
    }),
  );
  const wrong = all.filter(({ protocol, received, tail }) => {
    // A reply may be on its way still.
    const reply = notFound(protocol);
    return received > 0 && !`${reply}${reply}`.includes(tail.slice(-reply.length));
  }).length;
  const closed = all.filter(({ isClosed }) => isClosed).length;
  const rate = Math.round((answered * 1_000) / (performance.now() - begin));
  return {
    text: `${asked} asked, ${answered} answered (${rate} a second), ${closed} closed`,
    faults: closed + wrong,
    answered,
  };
}

function requests(attacker: Attacker, count: number, key: () => string): string {
  return Array.from({ length: count }, () => request(attacker.protocol, key())).join("");
}

const LONG_KEY = `${"k".repeat(50)}.`.repeat(196).slice(0, 9_992);

const longKeys: Attack = {
  name: "long-keys",
  input: "64 connections send keys of 10,000 octets without end",
  expected: "NOTFOUND at once, without DNS",
  duration: 10_000,
  memory: 100,
  run: (target, signal) => flood(target, signal, () => LONG_KEY),
};

const randomDomain = (): string => `${randomBytes(8).toString("hex")}.flood.test`;

const randomDomains: Attack = {
  name: "random-domains",
  input: "64 connections ask for domains that nobody asked for before, without end",
  expected: "memory is bounded, known domains are answered",
  duration: 20_000,
  memory: 200,
  run: (target, signal) => flood(target, signal, randomDomain),
};

const randomDomainsWithoutDns: Attack = {
  ...randomDomains,
  name: "random-domains-dns-silent",
  input: "the same while the name server is silent",
  surroundings: "dns-silent",
};

/** Unknown domains that are answered, for each long key: ten times as many on a quiet machine. */
const LEAST_PART = 0.01;

const bothFloods: Attack = {
  name: "both-floods",
  input: "64 connections as in random-domains, and 64 as in long-keys, at once",
  expected: "unknown domains are answered although the other flood makes turns long",
  duration: 20_000,
  memory: 250,
  async run(target, signal) {
    const [random, long] = await Promise.all([
      flood(target, signal, randomDomain),
      flood(target, signal, () => LONG_KEY),
    ]);
    const isStarved = random.answered < long.answered * LEAST_PART;
    return {
      text: `of random domains ${random.text}; of long keys ${long.text}`,
      faults: random.faults + long.faults + (isStarved ? 1 : 0),
    };
  },
};

const garbage: Attack = {
  name: "garbage",
  input: "1,000 connections send 64 KiB of random octets each",
  expected: "each is closed at its first breach of the framing, or told so (tcp_table), and nobody else",
  duration: 10_000,
  memory: 64,
  async run(target) {
    const count = scaled(target, 1_000);
    let [sent, open] = [0, 0];
    const worker = async (): Promise<void> => {
      while (sent < count) {
        const attacker = (await Attacker.connect(target, sent++)).read();
        attacker.write(randomBytes(65_536).toString("latin1"));
        // A line of tcp_table that is no request is answered 400, and its client may go on.
        const isTold = (): boolean => attacker.protocol === "tcp_table" && attacker.received > 0;
        await attacker.until(() => attacker.isClosed || isTold());
        if (!attacker.isClosed && !isTold()) open++;
        attacker.socket.destroy();
      }
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    return { text: `${sent} sent, ${open} neither closed nor told`, faults: open };
  },
};

const cutRequests: Attack = {
  name: "cut-requests",
  input: "a request cut at every octet, once for good and once with a pause",
  expected: "the first is dropped, the second answered",
  duration: 10_000,
  memory: 32,
  async run(target) {
    let [cuts, wrong] = [0, 0];
    const cut = async (n: number, at: number): Promise<void> => {
      const whole = request(n % 2 === 0 ? "socketmap" : "tcp_table", "[192.0.2.1]");
      const dropped = await Attacker.connect(target, n);
      dropped.write(whole.slice(0, at));
      dropped.socket.destroySoon();
      const attacker = (await Attacker.connect(target, n)).read();
      attacker.write(whole.slice(0, at));
      await sleep(20);
      attacker.write(whole.slice(at));
      const reply = notFound(attacker.protocol);
      if (!(await attacker.until(() => attacker.tail === reply))) wrong++;
      attacker.socket.destroy();
      cuts++;
    };
    for (const n of [0, 1]) {
      const { length } = request(n === 0 ? "socketmap" : "tcp_table", "[192.0.2.1]");
      for (let at = 1; at < length; at++) await cut(n, at);
    }
    return { text: `${cuts} cuts, ${wrong} not answered`, faults: wrong };
  },
};

export const REQUEST_ATTACKS: readonly Attack[] = [
  longKeys,
  randomDomains,
  randomDomainsWithoutDns,
  bothFloods,
  garbage,
  cutRequests,
];
