import { createSocket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { EventEmitter, once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DnsClient, type DnsClientOptions } from "../../../src/net/dns/client.ts";
import type { DnsServerAddress } from "../../../src/net/dns/transport.ts";
import { type Behaviour, type DnsServer, startDnsServer } from "../../helpers/dns-server.ts";

/** Long enough for a loaded machine; only tries that are meant to fail wait so long. */
const PATIENT = 5000;
const SHORT = 200;

function at(server: DnsServer): DnsServerAddress {
  return { host: server.address, port: server.port };
}

function clientOf(servers: readonly DnsServerAddress[], options: Partial<DnsClientOptions> = {}): DnsClient {
  return new DnsClient({ servers: () => servers, timeoutMs: PATIENT, attempts: 2, ...options });
}

/** Counts the sockets that are opened from now on, and those of them still open. */
function watchSockets(): { opened: number; open: number } & Disposable {
  const watch = {
    opened: 0,
    open: 0,
    [Symbol.dispose]: () => {
      unsubscribe("udp.socket", note);
      unsubscribe("net.client.socket", note);
    },
  };
  const note = (message: unknown): void => {
    if (typeof message !== "object" || message === null || !("socket" in message)) return;
    if (!(message.socket instanceof EventEmitter)) return;
    watch.opened++;
    watch.open++;
    message.socket.once("close", () => watch.open--);
  };
  subscribe("udp.socket", note);
  subscribe("net.client.socket", note);
  return watch;
}

describe("DnsClient", () => {
  let dns: DnsServer;
  let second: DnsServer;
  let client: DnsClient;

  beforeEach(async () => {
    dns = await startDnsServer();
    second = await startDnsServer();
    client = clientOf([at(dns)]);
  });
  afterEach(async () => {
    await Promise.all([dns.stop(), second.stop()]);
  });

  describe("answers", () => {
    it("reads TXT with its TTL and canonical name", async () => {
      dns.zone.txt("_mta-sts.example.com", "v=STSv1; id=1;", { ttl: 60 });
      await expect(client.resolve("_MTA-STS.Example.com.", "TXT")).resolves.toEqual({
        records: ["v=STSv1; id=1;"],
        canonicalName: "_mta-sts.example.com",
        nameMissing: false,
        ttl: 60,
        authenticated: false,
      });
    });

    it("reads every type that is asked for", async () => {
      dns.zone.a("example.com", ["192.0.2.1", "192.0.2.2"]);
      dns.zone.aaaa("example.com", "2001:db8::1");
      dns.zone.mx("example.com", ["mx1.example.com", "mx2.example.com"]);
      const tlsa = { usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, 7) };
      dns.zone.tlsa("example.com", tlsa);
      dns.zone.soa(".");
      expect((await client.resolve("example.com", "A")).records).toEqual(["192.0.2.1", "192.0.2.2"]);
      expect((await client.resolve("example.com", "AAAA")).records).toEqual(["2001:db8::1"]);
      expect((await client.resolve("example.com", "MX")).records).toEqual([
        { preference: 10, exchange: "mx1.example.com" },
        { preference: 20, exchange: "mx2.example.com" },
      ]);
      expect((await client.resolve("example.com", "TLSA")).records).toEqual([tlsa]);
      expect(await client.resolve(".", "SOA")).toMatchObject({
        records: [{ mname: "ns.invalid" }],
        canonicalName: "",
      });
    });

    it("tells a missing name from a missing type, with the SOA's negative TTL", async () => {
      dns.zone.a("example.com", "192.0.2.1");
      dns.zone.negative = { ttl: 300, minimum: 42 };
      expect(await client.resolve("example.com", "TXT")).toMatchObject({
        records: [],
        nameMissing: false,
        ttl: 42,
      });
      expect(await client.resolve("no.example.com", "TXT")).toMatchObject({
        records: [],
        nameMissing: true,
        ttl: 42,
      });
      dns.behave("no.example.com", "no-soa");
      expect(await client.resolve("no.example.com", "TXT")).toMatchObject({ nameMissing: true, ttl: 0 });
    });

    it("asks for the AD bit and keeps it", async () => {
      dns.zone.txt("signed.example", "x");
      dns.zone.txt("plain.example", "x");
      dns.zone.secure("signed.example");
      expect((await client.resolve("signed.example", "TXT")).authenticated).toBe(true);
      expect((await client.resolve("nothing.signed.example", "TXT")).authenticated).toBe(true);
      expect((await client.resolve("plain.example", "TXT")).authenticated).toBe(false);
      expect(dns.log.every((query) => query.adBit && query.udpSize === 1232)).toBe(true);
    });

    it("takes a fresh id and a fresh port for each query", async () => {
      for (let i = 0; i < 30; i++) await client.resolve("example.com", "TXT");
      expect(new Set(dns.log.map((query) => query.id)).size).toBeGreaterThan(25);
      expect(new Set(dns.log.map((query) => query.port)).size).toBeGreaterThan(15);
    });
  });

  describe("aliases", () => {
    it("follows them within one answer", async () => {
      dns.zone.cname("_mta-sts.example.com", "sts.provider.example", { ttl: 30 });
      dns.zone.txt("sts.provider.example", "x", { ttl: 60 });
      const answer = await client.resolve("_mta-sts.example.com", "TXT");
      expect(answer).toMatchObject({ records: ["x"], canonicalName: "sts.provider.example", ttl: 30 });
      expect(dns.queries()).toBe(1);
    });

    it("asks again for a target that the answer leaves out", async () => {
      dns.zone.cname("a.example", "b.example", { ttl: 30 });
      dns.zone.cname("b.example", "c.example", { ttl: 20 });
      dns.zone.txt("c.example", "x", { ttl: 60 });
      dns.zone.secure("a.example");
      dns.zone.secure("c.example");
      dns.behave("a.example", "bare-alias");
      dns.behave("b.example", "bare-alias");
      const answer = await client.resolve("a.example", "TXT");
      expect(answer).toMatchObject({
        records: ["x"],
        canonicalName: "c.example",
        ttl: 20,
        authenticated: false,
      });
      expect(dns.log.map((query) => query.name)).toEqual(["a.example", "b.example", "c.example"]);
    });

    it("gives the alias itself where that is asked for", async () => {
      dns.zone.cname("a.example", "B.example", { ttl: 30 });
      dns.zone.cname("b.example", "c.example");
      dns.zone.secure("a.example");
      const answer = await client.resolve("a.example", "CNAME");
      expect(answer).toMatchObject({
        records: ["b.example"],
        canonicalName: "a.example",
        ttl: 30,
        authenticated: true,
      });
      expect(await client.resolve("c.example", "CNAME")).toMatchObject({ records: [] });
    });

    it("counts the aliases of all answers, and gives up a loop", async () => {
      dns.zone.cname("a.example", "b.example");
      dns.zone.cname("b.example", "a.example");
      await expect(client.resolve("a.example", "TXT")).rejects.toMatchObject({ code: "cname-loop" });
      dns.behave("*", "bare-alias");
      await expect(client.resolve("a.example", "TXT")).rejects.toMatchObject({ code: "cname-loop" });
      expect(dns.queries()).toBe(1 + 9);
    });
  });

  describe("names", () => {
    const label = "a".repeat(63);
    const long = [label, label, label, "a".repeat(61)].join(".");
    it.each([
      [label, "a label of 63"],
      [long, "253 octets in all"],
      ["_25._tcp.mx-1.example", "underscores"],
      [".", "the root"],
    ])("%s is asked for (%s)", async (name) => {
      await expect(client.resolve(name, "TXT")).resolves.toMatchObject({ records: [] });
      expect(dns.queries(name)).toBe(1);
    });

    it.each([
      [`${label}a.example`, "a label of 64"],
      [`${long}a`, "254 octets"],
      ["", "nothing"],
      ["a..example", "an empty label"],
      [".example", "an empty label first"],
      ["example..", "two dots at the end"],
      ["a b.example", "a space"],
      ["b\u00fccher.example", "no A-label"],
      ["a\0.example", "a NUL"],
    ])("%j is refused unasked (%s)", async (name) => {
      await expect(client.resolve(name, "TXT")).rejects.toMatchObject({ name: "DnsError", code: "bad-name" });
      expect(dns.queries()).toBe(0);
    });
  });

  describe("forged and broken datagrams", () => {
    it.each<Behaviour>(["spoof", "noise"])("waits on for the true answer (%s)", async (behaviour) => {
      dns.zone.txt("example.com", "true");
      dns.behave("example.com", behaviour);
      expect((await client.resolve("example.com", "TXT")).records).toEqual(["true"]);
      expect(dns.queries()).toBe(1);
    });

    it.each<Behaviour>(["wrong-id", "wrong-question"])("a %s alone is a time-out", async (behaviour) => {
      dns.behave("example.com", behaviour);
      const impatient = clientOf([at(dns)], { timeoutMs: SHORT });
      await expect(impatient.resolve("example.com", "TXT")).rejects.toMatchObject({ code: "timeout" });
    });

    it("does not hear what another port sends", async () => {
      dns.zone.txt("example.com", "true");
      dns.behave("example.com", { delayMs: 50 });
      const answer = client.resolve("example.com", "TXT");
      await dns.nextQuery("example.com");
      const attacker = createSocket("udp4");
      const { id, port } = dns.log[0] ?? { id: 0, port: 0 };
      const forged = Buffer.alloc(29);
      forged.writeUInt16BE(id);
      forged.writeUInt16BE(0x8183, 2);
      forged.writeUInt16BE(1, 4);
      forged.write("\x07example\x03com\0\0\x10\0\x01", 12, "latin1");
      attacker.send(forged, port, "127.0.0.1");
      expect((await answer).records).toEqual(["true"]);
      attacker.close();
      await once(attacker, "close");
    });

    it("a malformed answer is the server's failure", async () => {
      dns.behave("example.com", "garbage");
      await expect(client.resolve("example.com", "TXT")).rejects.toMatchObject({ code: "malformed" });
    });
  });

  describe("TCP", () => {
    const big = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(200, "x"));

    it("is asked when the answer does not fit", async () => {
      dns.zone.txt("big.example", big);
      expect((await client.resolve("big.example", "TXT")).records).toEqual(big);
      expect(dns.log.map((query) => query.transport)).toEqual(["udp", "tcp"]);
    });

    it("takes an answer in pieces", async () => {
      dns.zone.txt("example.com", "x");
      dns.behave("example.com", "truncate", "tcp-pieces");
      expect((await client.resolve("example.com", "TXT")).records).toEqual(["x"]);
    });

    it.each<[Behaviour, string, number]>([
      ["tcp-eof", "network", PATIENT],
      ["tcp-silent", "timeout", SHORT],
      ["wrong-id", "malformed", PATIENT],
    ])("%s is %s", async (behaviour, code, timeoutMs) => {
      dns.zone.txt("example.com", "x");
      dns.behave("example.com", "truncate", behaviour);
      const single = clientOf([at(dns)], { timeoutMs, attempts: 1 });
      await expect(single.resolve("example.com", "TXT")).rejects.toMatchObject({ code });
      expect(dns.log.map((query) => query.transport)).toEqual(["udp", "tcp"]);
    });
  });

  describe("EDNS0", () => {
    it.each<Behaviour>(["formerr-edns", "badvers"])(
      "is left out for a server that refuses it (%s)",
      async (behaviour) => {
        dns.zone.txt("example.com", "x");
        dns.behave("example.com", behaviour);
        expect((await client.resolve("example.com", "TXT")).records).toEqual(["x"]);
        expect(dns.log.map((query) => query.udpSize)).toEqual([1232, undefined]);
      },
    );

    it.each<[Behaviour, string]>([
      ["formerr", "malformed"],
      ["notimp", "refused"],
    ])("%s without it as well is %s", async (behaviour, code) => {
      dns.behave("example.com", behaviour);
      await expect(clientOf([at(dns)], { attempts: 1 }).resolve("example.com", "TXT")).rejects.toMatchObject({
        code,
      });
      expect(dns.queries()).toBe(2);
    });
  });

  describe("several servers", () => {
    beforeEach(() => {
      second.zone.txt("example.com", "second");
    });

    it.each<Behaviour>(["drop", "servfail", "refused", "notimp", "garbage"])(
      "goes on after %s",
      async (behaviour) => {
        dns.behave("example.com", behaviour);
        const both = clientOf([at(dns), at(second)], { timeoutMs: behaviour === "drop" ? SHORT : PATIENT });
        expect((await both.resolve("example.com", "TXT")).records).toEqual(["second"]);
      },
    );

    it("goes on after a closed port", async () => {
      await dns.stop();
      const both = clientOf([at(dns), at(second)]);
      expect((await both.resolve("example.com", "TXT")).records).toEqual(["second"]);
    });

    it("goes on after a server without TCP", async () => {
      dns.behave("example.com", "truncate", "tcp-eof");
      expect((await clientOf([at(dns), at(second)]).resolve("example.com", "TXT")).records).toEqual([
        "second",
      ]);
    });

    it("takes NXDOMAIN for an answer", async () => {
      expect(await clientOf([at(dns), at(second)]).resolve("example.com", "TXT")).toMatchObject({
        nameMissing: true,
      });
      expect(second.queries()).toBe(0);
    });

    it("asks each once a round, in order, and not again the one that refused", async () => {
      dns.behave("example.com", "refused");
      second.behave("example.com", "drop");
      const both = clientOf([at(dns), at(second)], { timeoutMs: SHORT, attempts: 3 });
      await expect(both.resolve("example.com", "TXT")).rejects.toMatchObject({
        code: "refused",
        message: `TXT of example.com: 127.0.0.1#${dns.port} answered REFUSED`,
      });
      expect([dns.queries(), second.queries()]).toEqual([1, 3]);
    });

    it("asks the one that failed once more, and then no more", async () => {
      dns.behave("example.com", "servfail");
      await expect(clientOf([at(dns)], { attempts: 5 }).resolve("example.com", "TXT")).rejects.toMatchObject({
        code: "servfail",
        message: `TXT of example.com: 127.0.0.1#${dns.port} answered SERVFAIL`,
      });
      expect(dns.queries()).toBe(2);
    });

    it("takes the answer of a server that failed once", async () => {
      dns.zone.txt("example.com", "at last");
      dns.behave("example.com", "servfail");
      const answer = clientOf([at(dns)]).resolve("example.com", "TXT");
      await dns.nextQuery("example.com");
      dns.behave("example.com");
      expect((await answer).records).toEqual(["at last"]);
    });

    it("asks a silent server again", async () => {
      dns.zone.txt("example.com", "late");
      dns.behave("example.com", "drop");
      const answer = clientOf([at(dns)], { timeoutMs: SHORT, attempts: 50 }).resolve("example.com", "TXT");
      await dns.nextQuery("example.com");
      dns.behave("example.com");
      expect((await answer).records).toEqual(["late"]);
    });

    it("asks the servers of the moment", async () => {
      dns.zone.txt("example.com", "first");
      let servers = [at(dns)];
      const changing = new DnsClient({ servers: () => servers, timeoutMs: PATIENT, attempts: 1 });
      expect((await changing.resolve("example.com", "TXT")).records).toEqual(["first"]);
      servers = [at(second)];
      expect((await changing.resolve("example.com", "TXT")).records).toEqual(["second"]);
    });

    it("without any, fails", async () => {
      await expect(clientOf([]).resolve("example.com", "TXT")).rejects.toMatchObject({ code: "network" });
    });

    it.each([["255.255.255.255"], ["fe80::1"], ["2001:db8::%nowhere"]])(
      "%s cannot be reached",
      async (host) => {
        const unreachable = clientOf([{ host, port: 9 }], { timeoutMs: SHORT, attempts: 1 });
        await expect(unreachable.resolve("example.com", "TXT")).rejects.toMatchObject({ name: "DnsError" });
      },
    );
  });

  it("asks over IPv6", async () => {
    await using v6 = await startDnsServer({ address: "::1" });
    v6.zone.txt("example.com", "six");
    expect((await clientOf([at(v6)]).resolve("example.com", "TXT")).records).toEqual(["six"]);
  });

  describe("forty answers at once", () => {
    const names = Array.from({ length: 40 }, (_, n) => `n${n}.example`);

    /** Asks for all of them, and has the answers sent together. */
    async function askForAll(signal?: AbortSignal): Promise<Promise<unknown>[]> {
      const { promise, resolve } = Promise.withResolvers<void>();
      dns.behave("*", { after: promise });
      const asked = names.map((name) => client.resolve(name, "TXT", signal));
      await expect.poll(() => dns.queries()).toBe(names.length);
      resolve();
      return asked;
    }

    it("are worked off by eight in a turn of the event loop", async () => {
      const turns: number[] = [];
      let turn = 0;
      for (const answer of await askForAll()) void answer.then(() => turns.push(turn));
      for (; turns.length < names.length; turn++) await setImmediate();
      for (const each of new Set(turns)) {
        expect(turns.filter((other) => other === each).length).toBeLessThanOrEqual(8);
      }
    });

    it("are none to who gave up meanwhile", async () => {
      using sockets = watchSockets();
      const controller = new AbortController();
      const asked = await askForAll(controller.signal);
      await Promise.race(asked);
      await setImmediate();
      expect(sockets.open, "all have come").toBe(0);
      controller.abort();
      const results = await Promise.allSettled(asked);
      const codes = results.map((result) => (result.status === "rejected" ? result.reason.code : "answered"));
      expect(codes.filter((code) => code === "answered").length).toBeLessThanOrEqual(16);
      expect(codes.filter((code) => code !== "answered" && code !== "aborted")).toEqual([]);
    });
  });

  describe("giving up", () => {
    it("stops at once and leaves no socket", async () => {
      using sockets = watchSockets();
      const controller = new AbortController();
      dns.behave("*", "drop");
      dns.behave("big.example", "truncate", "tcp-silent");
      const asked = ["a.example", "big.example"].map((name) =>
        client.resolve(name, "TXT", controller.signal),
      );
      await Promise.all([dns.nextQuery("a.example"), dns.nextQuery("big.example")]);
      await dns.nextQuery("big.example");
      controller.abort(new Error("enough"));
      const results = await Promise.allSettled(asked);
      expect(results.map((result) => result.status === "rejected" && result.reason)).toEqual([
        expect.objectContaining({
          name: "DnsError",
          code: "aborted",
          cause: expect.objectContaining({ message: "enough" }),
        }),
        expect.objectContaining({ code: "aborted" }),
      ]);
      await expect.poll(() => sockets.open).toBe(0);
      expect(sockets.opened).toBe(3);
    });

    it("asks nothing when the signal has fired already", async () => {
      const fired = AbortSignal.abort();
      await expect(client.resolve("example.com", "TXT", fired)).rejects.toMatchObject({ code: "aborted" });
      expect(dns.queries()).toBe(0);
    });

    it("leaves no socket after 1,000 questions to a dead server", async () => {
      using sockets = watchSockets();
      dns.behave("*", "drop");
      const impatient = clientOf([at(dns)], { timeoutMs: 20, attempts: 1 });
      const questions = Array.from({ length: 1000 }, (_, i) => impatient.resolve(`n${i}.example`, "TXT"));
      const results = await Promise.allSettled(questions);
      expect(
        results.every((result) => result.status === "rejected" && result.reason.code === "timeout"),
      ).toBe(true);
      await expect.poll(() => sockets.open).toBe(0);
      expect(sockets.opened).toBe(1000);
    });
  });

  describe("the bound on questions in flight", () => {
    it("holds, in order of arrival", async () => {
      dns.behave("*", "drop");
      const narrow = clientOf([at(dns)], { maxInFlight: 2 });
      const controller = new AbortController();
      const held = ["a", "b"].map((name) => narrow.resolve(name, "TXT", controller.signal));
      const waiting = ["c", "d", "e"].map((name) => narrow.resolve(name, "TXT"));
      await expect.poll(() => dns.queries()).toBe(2);
      dns.behave("*");
      controller.abort();
      await Promise.allSettled(held);
      await Promise.all(waiting);
      expect(dns.log.map((query) => query.name)).toEqual(["a", "b", "c", "d", "e"]);
    });

    it("lets one that waits be given up", async () => {
      dns.behave("a", "drop");
      const narrow = clientOf([at(dns)], { maxInFlight: 1 });
      const first = new AbortController();
      const other = new AbortController();
      const held = narrow.resolve("a", "TXT", first.signal);
      const waiting = narrow.resolve("b", "TXT", other.signal);
      other.abort();
      await expect(waiting).rejects.toMatchObject({ code: "aborted" });
      first.abort();
      await expect(held).rejects.toMatchObject({ code: "aborted" });
      await expect(narrow.resolve("c", "TXT")).resolves.toMatchObject({ records: [] });
      expect(dns.queries("b")).toBe(0);
    });

    it("refuses what would pile up", async () => {
      dns.behave("*", "drop");
      const narrow = clientOf([at(dns)], { maxInFlight: 1 });
      const controller = new AbortController();
      const held = Array.from({ length: 9 }, (_, i) => narrow.resolve(`n${i}`, "TXT", controller.signal));
      await expect(narrow.resolve("one-more", "TXT")).rejects.toMatchObject({ code: "network" });
      controller.abort();
      await Promise.allSettled(held);
    });
  });
});
