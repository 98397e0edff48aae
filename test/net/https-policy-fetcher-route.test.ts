import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import type { FetchFailureReason } from "../../src/net/policy-host/policy-fetcher.ts";
import { proxySelector } from "../../src/net/policy-host/proxy.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import { createCa } from "../helpers/certificates.ts";
import { startHttpProxy } from "../helpers/http-proxy.ts";
import { type PolicyHost, startPolicyHost } from "../helpers/policy-host.ts";
import { type Addresses, failureOf, resolverOf, testFetcher } from "../helpers/test-fetcher.ts";

const POLICY = "version: STSv1\nmode: none\nmax_age: 604800\n";

const ca = createCa();
const hosts = await startPolicyHost({ ca });
const { port } = hosts;
hosts.serve("example.com", POLICY);
afterAll(() => hosts.stop());

const hasIpv6 = await new Promise<boolean>((resolve) => {
  const probe = createServer();
  probe.on("error", () => resolve(false));
  probe.listen(0, "::1", () => probe.close(() => resolve(true)));
});

describe("the policy host's addresses", () => {
  it.each<[FetchFailureReason, Addresses, string]>([
    ["dns-error", { A: "servfail", AAAA: "timeout" }, "addresses cannot be looked up: "],
    [
      "dns-error",
      { A: [], AAAA: "timeout" },
      "addresses cannot be looked up: AAAA of mta-sts.example.com: timeout",
    ],
    ["no-address", {}, "has no address in DNS"],
    [
      "address-refused",
      { A: ["10.0.0.1"], AAAA: ["fe80::1"] },
      "no globally routable address, only fe80::1, 10.0.0.1",
    ],
    ["address-refused", { A: ["169.254.169.254"] }, "no globally routable address, only 169.254.169.254"],
    ["address-refused", { AAAA: ["::ffff:127.0.0.1", "64:ff9b::7f00:1"] }, "no globally routable address"],
    [
      "address-refused",
      { A: ["0.0.0.0"], AAAA: ["fd00:ec2::254", "64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254"] },
      "no globally routable address, only fd00:ec2::254, ",
    ],
  ])("end in %s for %j", async (reason, addresses, message) => {
    const failure = await failureOf(
      testFetcher({ ca, port, resolver: resolverOf(addresses) }).fetch("example.com"),
    );
    expect(failure.reason).toBe(reason);
    expect(failure.failureClass).toBe("sts-policy-fetch-error");
    expect(failure.message).toContain(`policy host mta-sts.example.com: `);
    expect(failure.message).toContain(message);
    expect(failure.trace.address).toBeUndefined();
  });

  it("on loopback are refused where the configuration does not allow them, and nobody connects", async () => {
    const requests = hosts.requests("example.com");
    const addresses = { A: ["127.0.0.1"], AAAA: ["::1"] };
    const strict = testFetcher({ ca, port, resolver: resolverOf(addresses), allowAddresses: [] });
    expect((await failureOf(strict.fetch("example.com"))).reason).toBe("address-refused");
    expect([await hosts.connections(), hosts.requests("example.com")]).toEqual([0, requests]);
  });

  it.each<[string, Addresses]>([
    ["one type cannot be looked up", { A: ["127.0.0.1"], AAAA: "servfail" }],
    ["some are refused", { A: ["10.0.0.1", "127.0.0.1", "169.254.169.254"], AAAA: ["fd00::1"] }],
    ["the first refuse the connection", { A: ["127.0.0.2", "127.0.0.3", "127.0.0.1"] }],
  ])("are enough when %s", async (_title, addresses) => {
    const { trace } = await testFetcher({ ca, port, resolver: resolverOf(addresses) }).fetch("example.com");
    expect(trace.address).toBe("127.0.0.1");
  });

  it("are all named when none answers", async () => {
    const resolver = resolverOf({ A: ["127.0.0.2", "127.0.0.3"] });
    const failure = await failureOf(testFetcher({ ca, port, resolver }).fetch("example.com"));
    expect(failure.reason).toBe("connect-failed");
    expect(failure.message).toContain(
      `no connection to port ${port} of 127.0.0.2: connection refused; 127.0.0.3: connection refused`,
    );
  });

  it.runIf(hasIpv6)("are tried IPv6 first, then IPv4 (needs ::1)", async () => {
    const resolver = resolverOf({ A: ["127.0.0.1"], AAAA: ["::1"] });
    expect((await testFetcher({ ca, port, resolver }).fetch("example.com")).trace.address).toBe("127.0.0.1");
    await using six = await startPolicyHost({ ca, address: "::1", port });
    six.serve("example.com", POLICY);
    expect((await testFetcher({ ca, port, resolver }).fetch("example.com")).trace.address).toBe("::1");
  });

  it("are asked at most so often at once as configured", async () => {
    let now = 0;
    let most = 0;
    hosts.respond("busy.example", {
      body: (response) => {
        now += 1;
        most = Math.max(most, now);
        setTimeout(() => {
          now -= 1;
          response.setHeader("content-type", "text/plain").end(POLICY);
        }, 20);
      },
    });
    const fetcher = testFetcher({ ca, port, perAddress: 3 });
    await Promise.all(Array.from({ length: 12 }, () => fetcher.fetch("busy.example")));
    expect(most).toBe(3);
  });
});

it("a fault of our own is local-error", async () => {
  const options = {
    proxyFor: () => {
      throw new TypeError("broken");
    },
  };
  const failure = await failureOf(testFetcher({ ca, port, ...options }).fetch("example.com"));
  expect([failure.reason, failure.failureClass]).toEqual(["local-error", "sts-policy-fetch-error"]);
});

describe("a policy host that takes connections and then says nothing", () => {
  it("gives its slot back long before the deadline, to one who waits", async () => {
    const silent = createServer({ allowHalfOpen: true }, (socket) => socket.on("error", () => {}));
    await once(silent.listen(port, "127.0.0.9"), "listening");
    const resolver: Resolver = {
      resolve: (name, ...rest) =>
        resolverOf({ A: [name.includes("silent") ? "127.0.0.9" : "127.0.0.1"] }).resolve(name, ...rest),
    };
    const limits = { concurrency: 1, timeoutMs: 600_000, connectTimeoutMs: 300 };
    const fetcher = testFetcher({ ca, port, resolver, ...limits });
    try {
      const first = failureOf(fetcher.fetch("silent.example"));
      const second = fetcher.fetch("example.com");
      expect(await first).toMatchObject({
        reason: "timeout",
        failureClass: "sts-policy-fetch-error",
        message:
          "policy host mta-sts.silent.example [127.0.0.9]: no connection within 0.3 s (was in the TLS handshake)",
      });
      expect((await second).policy.mode).toBe("none");
    } finally {
      silent.close();
    }
  });

  it("only while it connects: a policy may take longer", async () => {
    hosts.respond("slow.example", {
      body: (response) =>
        setTimeout(() => response.setHeader("content-type", "text/plain").end(POLICY), 1_500),
    });
    const { policy } = await testFetcher({ ca, port, connectTimeoutMs: 1_000 }).fetch("slow.example");
    expect(policy.mode).toBe("none");
  });
});

/** Has `host` answer for `domain` an octet at a time. */
function drip(host: PolicyHost, domain: string): void {
  host.respond(domain, {
    body: (response) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": "60000" });
      const timer = setInterval(() => response.write("v"), 20);
      response.on("close", () => clearInterval(timer));
    },
  });
}

describe("policy hosts that finish TLS and then answer an octet at a time", () => {
  const limits = { concurrency: 4, timeoutMs: 600_000, connectTimeoutMs: 500 };
  /** Each name has an address of its own, so that the limit for one address helps nothing. */
  const resolver: Resolver = {
    resolve: (name, ...rest) =>
      resolverOf({ A: [`127.0.0.${/drip(\d+)/.exec(name)?.[1] ?? 1}`] }).resolve(name, ...rest),
  };
  const everywhere = startPolicyHost({ ca, address: "0.0.0.0" });
  afterAll(async () => (await everywhere).stop());

  it("do not keep all slots from one who waits, however many wait with him", async () => {
    const host = await everywhere;
    host.serve("honest.example", POLICY);
    const fetcher = testFetcher({ ca, port: host.port, resolver, ...limits });
    const given = new AbortController();
    const drips = Array.from({ length: 12 }, (_, n) => {
      drip(host, `drip${n + 10}.example`);
      return failureOf(fetcher.fetch(`drip${n + 10}.example`, given.signal));
    });
    expect((await fetcher.fetch("honest.example")).policy.mode).toBe("none");
    expect(await drips[0]).toMatchObject({
      reason: "timeout",
      failureClass: "sts-policy-fetch-error",
      message:
        "policy host mta-sts.drip10.example [127.0.0.10]: no policy within 0.5 s, and other fetches wait (was waiting for the policy)",
    });
    given.abort();
    await Promise.all(drips);
  });

  it("may take their time while nobody waits", async () => {
    const host = await everywhere;
    host.respond("alone.example", {
      body: (response) =>
        setTimeout(() => response.setHeader("content-type", "text/plain").end(POLICY), 1_000),
    });
    const fetcher = testFetcher({ ca, port: host.port, resolver, ...limits, concurrency: 1 });
    expect((await fetcher.fetch("alone.example")).policy.mode).toBe("none");
  });
});

it.runIf(hasIpv6)("a /64 counts as one address (needs ::1)", async () => {
  await using six = await startPolicyHost({ ca, address: "::1", port });
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<ServerResponse>();
  six.respond("held.example", { body: arrive });
  const resolver: Resolver = {
    resolve: (name, ...rest) =>
      resolverOf({ AAAA: [name.includes("held") ? "::1" : "::"] }).resolve(name, ...rest),
  };
  const fetcher = testFetcher({ ca, port, resolver, perAddress: 1, allowAddresses: ["::/64"] });
  const ended: string[] = [];
  const held = fetcher.fetch("held.example").then(() => ended.push("held"));
  const response = await arrived;
  // To connect to :: is to connect to ::1, where the answer to this one is there at once.
  six.serve("other.example", POLICY);
  const other = fetcher.fetch("other.example").then(() => ended.push("other"));
  await Promise.race([other, sleep(200)]);
  response.setHeader("content-type", "text/plain").end(POLICY);
  await Promise.all([held, other]);
  expect(ended).toEqual(["held", "other"]);
});

describe("a proxy", () => {
  const noDns = resolverOf({ A: "timeout", AAAA: "timeout" });
  const through = (url: string) =>
    testFetcher({ ca, port, resolver: noDns, allowAddresses: [], proxyFor: proxySelector(url, {}) });

  it("resolves the name itself, and sees neither our headers nor the policy", async () => {
    await using proxy = await startHttpProxy({ target: hosts });
    const { trace } = await through(`http://127.0.0.1:${proxy.port}`).fetch("example.com");
    expect(proxy.asked).toEqual([`mta-sts.example.com:${port}`]);
    expect(proxy.lastHeaders()?.["user-agent"]).toBeUndefined();
    expect(trace).toMatchObject({
      proxy: `http://127.0.0.1:${proxy.port}`,
      address: "127.0.0.1",
      status: 200,
    });
  });

  it("may ask for credentials, which no error shows", async () => {
    await using proxy = await startHttpProxy({ target: hosts, credentials: "user:p@ss:word" });
    const good = `http://user:p%40ss%3Aword@127.0.0.1:${proxy.port}`;
    expect((await through(good).fetch("example.com")).policy.mode).toBe("none");
    const failure = await failureOf(
      through(`http://user:secret@127.0.0.1:${proxy.port}`).fetch("example.com"),
    );
    expect(failure.reason).toBe("proxy-failed");
    expect(failure.message).toBe(
      `policy host mta-sts.example.com through http://127.0.0.1:${proxy.port}: the proxy refused the tunnel with status 407`,
    );
    expect(JSON.stringify(failure.trace)).not.toContain("secret");
  });

  it("may speak TLS, and must then be who it says", async () => {
    const certificate = ca.issue({ names: ["127.0.0.1"] });
    await using proxy = await startHttpProxy({ target: hosts, certificate });
    expect((await through(`https://127.0.0.1:${proxy.port}`).fetch("example.com")).trace.tlsVersion).toBe(
      "TLSv1.3",
    );
    await using impostor = await startHttpProxy({
      target: hosts,
      certificate: ca.issue({ names: ["127.0.0.9"] }),
    });
    const failure = await failureOf(through(`https://127.0.0.1:${impostor.port}`).fetch("example.com"));
    expect([failure.reason, failure.failureClass]).toEqual(["proxy-failed", "sts-policy-fetch-error"]);
    expect(impostor.asked).toEqual([]);
  });

  it("cannot make a bad certificate good", async () => {
    hosts.certificate("ill.example", { names: ["mta-sts.ill.example"], selfSigned: true });
    await using proxy = await startHttpProxy({ target: hosts });
    const failure = await failureOf(through(`http://127.0.0.1:${proxy.port}`).fetch("ill.example"));
    expect(failure.reason).toBe("certificate-self-signed");
  });

  it("that refuses, breaks off or is not there is proxy-failed", async () => {
    await using refusing = await startHttpProxy({ target: hosts, refuse: 502 });
    const refused = await failureOf(through(`http://127.0.0.1:${refusing.port}`).fetch("example.com"));
    expect([refused.reason, refused.trace.address]).toEqual(["proxy-failed", "127.0.0.1"]);
    await using silent = await startHttpProxy({ target: hosts });
    await silent.stop();
    expect((await failureOf(through(`http://127.0.0.1:${silent.port}`).fetch("example.com"))).reason).toBe(
      "proxy-failed",
    );
  });

  it("that never answers is proxy-failed when the deadline passes", async () => {
    const mute = createServer((socket) => socket.resume().on("error", () => {}));
    await new Promise<void>((resolve) => {
      mute.listen(0, "127.0.0.1", resolve);
    });
    const address = mute.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    const fetcher = testFetcher({ ca, port, timeoutMs: 200, proxyFor: proxySelector(url, {}) });
    const failure = await failureOf(fetcher.fetch("example.com"));
    expect(failure.reason).toBe("proxy-failed");
    expect(failure.message).toContain("was connecting");
    const caller = AbortSignal.timeout(50);
    const given = await failureOf(through(url).fetch("example.com", caller));
    expect(given.reason, "ended by the caller").toBe("aborted");
    await new Promise((resolve) => {
      mute.close(resolve);
    });
  });
});
