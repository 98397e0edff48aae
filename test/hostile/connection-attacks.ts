/** Attacks that hold connections, or open and drop them. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Attack, aborted, Attacker, connectMany, notFound, request, scaled } from "./attack.ts";

const KEY = "[192.0.2.1]";

/** An octet a second, or as many times faster as there are fewer connections. */
const slowSenders: Attack = {
  name: "slow-senders",
  input: "500 connections send their requests an octet a second",
  expected: "each is answered in the end, none is closed",
  duration: 40_000,
  memory: 32,
  async run(target, signal) {
    const all = await connectMany(target, scaled(target, 500));
    let answered = 0;
    await Promise.all(
      all.map(async (attacker) => {
        attacker.read();
        for (const octet of request(attacker.protocol, KEY)) {
          attacker.write(octet);
          await sleep(1_000 * target.scale);
        }
        const reply = notFound(attacker.protocol);
        if (await attacker.until(() => attacker.tail === reply)) answered++;
      }),
    );
    await aborted(signal);
    const closed = all.filter(({ isClosed }) => isClosed).length;
    return {
      text: `${answered} of ${all.length} answered, ${closed} closed`,
      faults: all.length - answered + closed,
    };
  },
};

const silentReaders: Attack = {
  name: "silent-readers",
  input: "200 connections send requests without end and never read",
  expected: "no more is read of them, less than 200 KiB each are held",
  duration: 10_000,
  memory: 100,
  async run(target, signal) {
    const all = await connectMany(target, scaled(target, 200));
    await Promise.all(
      all.map(async (attacker) => {
        const many = request(attacker.protocol, "known1.soak.test").repeat(500);
        while (!signal.aborted && !attacker.isClosed) {
          if (attacker.write(many)) await sleep(1);
          else await attacker.until(() => !attacker.socket.writableNeedDrain, signal);
        }
      }),
    );
    const closed = all.filter(({ isClosed }) => isClosed).length;
    const taken = all.map(({ socket }) => socket.bytesWritten - socket.writableLength);
    const most = Math.round(Math.max(...taken) / 1024);
    return { text: `${most} KiB taken of one at most, ${closed} closed`, faults: closed };
  },
};

const comeAndGo: Attack = {
  name: "come-and-go",
  input:
    "5,000 connections opened and dropped: at once, in a request, with an answer on its way, by FIN or RST",
  expected: "descriptors come back",
  duration: 15_000,
  memory: 48,
  async run(target) {
    const count = scaled(target, 5_000);
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) {
        const n = next++;
        const attacker = await Attacker.connect(target, n);
        const whole = request(attacker.protocol, `drop${n}.soak.test`);
        if (n % 3 === 1) attacker.write(whole.slice(0, n % whole.length));
        if (n % 3 === 2) attacker.write(whole);
        if (n % 4 < 2) attacker.socket.destroy();
        else attacker.socket.resetAndDestroy();
      }
    };
    await Promise.all(Array.from({ length: 50 }, worker));
    return { text: `${next} opened and dropped`, faults: 0 };
  },
};

const halfOpen: Attack = {
  name: "half-open",
  input: "1,000 connections end their side: before, in, or after a request, and keep the other open",
  expected: "what was asked is answered, then the connection is closed",
  duration: 10_000,
  memory: 32,
  async run(target) {
    const all = await connectMany(target, scaled(target, 1_000), { halfOpen: true });
    const ends = await Promise.all(
      all.map(async (attacker, n) => {
        attacker.read();
        const whole = request(attacker.protocol, KEY);
        const part = [0, 5, whole.length][Math.floor(n / 2) % 3] ?? 0;
        let isEnded = false;
        attacker.socket.on("end", () => {
          isEnded = true;
        });
        attacker.socket.end(whole.slice(0, part), "latin1");
        await attacker.until(() => isEnded);
        return isEnded && attacker.tail === (part === whole.length ? notFound(attacker.protocol) : "");
      }),
    );
    const right = ends.filter(Boolean).length;
    return { text: `${right} of ${all.length} closed as they should`, faults: all.length - right };
  },
};

const descriptors: Attack = {
  name: "descriptors",
  input: "300 connections, where the daemon has 50 descriptors left (EMFILE)",
  expected: "those who are in are answered, accepting resumes, nothing spins",
  duration: 8_000,
  memory: 32,
  surroundings: "few-descriptors",
  async run(target, signal) {
    // Scale changes nothing: there are as few descriptors in any case.
    const all = await connectMany(target, 300);
    for (const attacker of all) attacker.read();
    await aborted(signal);
    const turnedAway = all.filter(({ isClosed }) => isClosed).length;
    return { text: `${all.length - turnedAway} let in, ${turnedAway} turned away`, faults: 0 };
  },
};

export const CONNECTION_ATTACKS: readonly Attack[] = [
  slowSenders,
  silentReaders,
  comeAndGo,
  halfOpen,
  descriptors,
];
