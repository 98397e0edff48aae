import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { createCa } from "../../helpers/certificates.ts";
import { type PolicyResponse, startPolicyHost } from "../../helpers/policy-host.ts";
import { failureOf, testFetcher } from "../../helpers/test-fetcher.ts";

const POLICY = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n";

const ca = createCa();
const hosts = await startPolicyHost({ ca });
const fetcher = testFetcher({ ca, port: hosts.port });
afterAll(() => hosts.stop());

/** A valid policy of exactly so many octets. */
function policyOf(octets: number): string {
  return `${POLICY}x: `.padEnd(octets, "x");
}

/** Writes octets to the connection past node:http. */
function raw(text: string, then?: (response: ServerResponse) => void): PolicyResponse {
  return {
    body: (response) => {
      response.socket?.write(text);
      then?.(response);
    },
  };
}

/** Goes on writing `text` for as long as the client reads. */
function endless(head: string, text: string): PolicyResponse {
  return raw(head, ({ socket }) => {
    const write = (): void => {
      if (socket?.writable === true && socket.write(text)) setImmediate(write);
    };
    socket?.on("drain", write).on("error", () => {});
    write();
  });
}

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

describe("a policy", () => {
  it("comes with a trace of all that was seen", async () => {
    hosts.serve("good.example", POLICY);
    const { policy, text, trace } = await fetcher.fetch("good.example");
    expect(policy).toEqual({ mode: "enforce", maxAge: 604_800, mx: ["mx.example.com"] });
    expect(text).toBe(POLICY);
    expect(trace).toEqual({
      url: `https://mta-sts.good.example:${hosts.port}/.well-known/mta-sts.txt`,
      address: "127.0.0.1",
      tlsVersion: "TLSv1.3",
      certificate: {
        names: ["mta-sts.good.example"],
        issuer: "CN=Throw-away test root",
        validFrom: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        validTo: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
      status: 200,
      contentType: "text/plain",
      date: expect.stringMatching(/ GMT$/),
      bytes: POLICY.length,
      durationMs: expect.any(Number),
    });
  });

  it("is asked for with our name, without cache, compression or keep-alive", async () => {
    hosts.serve("headers.example", POLICY);
    await fetcher.fetch("headers.example");
    expect(hosts.lastRequest("headers.example")).toMatchObject({
      method: "GET",
      url: "/.well-known/mta-sts.txt",
    });
    expect(hosts.lastRequest("headers.example")?.headers).toEqual({
      host: `mta-sts.headers.example:${hosts.port}`,
      connection: "close",
      "user-agent": "stsmapd/0.0 (+https://stsmapd.example/)",
      accept: "text/plain",
      "accept-encoding": "identity",
    });
  });

  it("leaves no connection behind, whether it is good or bad", async () => {
    hosts.serve("closed.example", POLICY);
    await fetcher.fetch("closed.example");
    hosts.respond(
      "closed.example",
      endless(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, `3e8\r\n${"x".repeat(1000)}\r\n`),
    );
    await failureOf(fetcher.fetch("closed.example"));
    await expect.poll(() => hosts.connections()).toBe(0);
  });

  it.each<[string, PolicyResponse]>([
    ["exactly 64 KiB", { body: policyOf(65_536) }],
    [
      "media types ignore case and parameters",
      { body: POLICY, headers: { "content-type": "TEXT/Plain; charset=utf-8" } },
    ],
    ["white space before the semicolon", { body: POLICY, headers: { "content-type": "text/plain ;x=y" } }],
    [
      "identity is no encoding",
      { body: POLICY, headers: { "content-type": "text/plain", "content-encoding": "identity" } },
    ],
    ["a byte-order mark", { body: `\uFEFF${POLICY}` }],
    [
      "an interim answer",
      raw(
        `HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${HEAD}Content-Length: ${POLICY.length}\r\n\r\n${POLICY}`,
      ),
    ],
    [
      "chunks",
      raw(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${POLICY.length.toString(16)}\r\n${POLICY}\r\n0\r\n\r\n`),
    ],
    [
      "a thousand header lines",
      raw(`${HEAD}${"X: y\r\n".repeat(1_000)}Content-Length: ${POLICY.length}\r\n\r\n${POLICY}`),
    ],
    [
      "HTTP/1.0",
      raw(`HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${POLICY.length}\r\n\r\n${POLICY}`),
    ],
  ])("is accepted with %s", async (_title, response) => {
    hosts.respond("fine.example", response);
    expect((await fetcher.fetch("fine.example")).policy.mode).toBe("enforce");
  });
});

describe("an answer that is no policy", () => {
  it.each<[string, string, PolicyResponse]>([
    ["status-404", "answered with status 404", { status: 404, body: POLICY }],
    ["status-500", "answered with status 500", { status: 500, body: POLICY }],
    ["status-204", "answered with status 204", { status: 204 }],
    ["status-206", "answered with status 206", { status: 206, body: POLICY }],
    ["status-304", "answered with status 304, and redirects must not be followed", { status: 304 }],
    [
      "http-error",
      "answered with status 999, which HTTP does not know",
      raw("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"),
    ],
    [
      "http-error",
      "answered with status 99, which HTTP does not know",
      raw("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"),
    ],
    ["media-type", "media type is missing, not text/plain", { body: POLICY, headers: {} }],
    [
      "media-type",
      "media type is text/html, not text/plain",
      { body: POLICY, headers: { "content-type": "text/html" } },
    ],
    [
      "media-type",
      "media type is text/plainly, not text/plain",
      { body: POLICY, headers: { "content-type": "text/plainly" } },
    ],
    [
      "media-type",
      "media type is missing, not text/plain",
      { body: POLICY, headers: { "content-type": "" } },
    ],
    ["too-large", "policy has more than 65536 octets", { body: policyOf(65_537) }],
    [
      "too-large",
      "policy has more than 65536 octets",
      endless(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, `3e8\r\n${"x".repeat(1000)}\r\n`),
    ],
    ["too-large", "sent more than 1048576 octets", endless("", "HTTP/1.1 103 Early Hints\r\n\r\n")],
    [
      "too-large",
      "sent too many octets of chunk extensions",
      endless(`${HEAD}Transfer-Encoding: chunked\r\n\r\n1;`, "x=y;".repeat(100)),
    ],
    [
      "too-large",
      "sent more than 1048576 octets",
      endless(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, `1;${"x".repeat(1000)}\r\nx\r\n`),
    ],
    [
      "http-error",
      "sent more than 16384 octets of header",
      endless(`${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n`, "X-Trailer: yes\r\n".repeat(10)),
    ],
    [
      "http-error",
      "answered with content-encoding gzip",
      raw(
        `${HEAD}${"a:\r\n".repeat(3_000)}Content-Encoding: gzip\r\nContent-Length: ${POLICY.length}\r\n\r\n${POLICY}`,
      ),
    ],
    [
      "media-type",
      "media type is text/plain, text/html, not text/plain",
      raw(`${HEAD}Content-Type: text/html\r\nContent-Length: ${POLICY.length}\r\n\r\n${POLICY}`),
    ],
    [
      "http-error",
      "broke the rules of HTTP",
      raw(
        `${HEAD}Content-Length: ${POLICY.length}\r\nTransfer-Encoding: chunked\r\n\r\n${POLICY.length.toString(16)}\r\n${POLICY}\r\n0\r\n\r\n`,
      ),
    ],
    [
      "http-error",
      "closed the connection before the answer was complete",
      raw(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3e8\r\n${POLICY}`, ({ socket }) => socket?.end()),
    ],
    [
      "http-error",
      "sent more than 16384 octets of header",
      endless("HTTP/1.1 200 OK\r\n", "X-Header: yes\r\n".repeat(10)),
    ],
    [
      "http-error",
      "sent more than 16384 octets of header",
      raw(`${HEAD}${"X-Header: a thousand of them\r\n".repeat(1_000)}\r\n`),
    ],
    [
      "http-error",
      "sent more than 16384 octets of header",
      endless("HTTP/1.1 200 OK\r\nX-One: ", "without end".repeat(100)),
    ],
    [
      "http-error",
      "answered with neither content-length nor chunks",
      raw(`${HEAD}\r\n${POLICY}`, ({ socket }) => socket?.end()),
    ],
    [
      "http-error",
      "closed the connection before the answer was complete",
      raw(`${HEAD}Content-Length: 1000\r\n\r\n${POLICY}`, ({ socket }) => socket?.end()),
    ],
    [
      "http-error",
      "closed the connection before the answer was complete",
      raw("", ({ socket }) => socket?.end()),
    ],
    ["http-error", "broke the rules of HTTP", raw("220 mail.example ESMTP\r\n\r\n")],
    [
      "http-error",
      "changed the protocol without being asked",
      raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ],
    ["policy-syntax", "policy is not valid: ", { body: "" }],
    ["policy-syntax", "policy is not valid: line 1: ", { body: "<html>" }],
    ["policy-syntax", "policy is not valid: ", { body: new Uint8Array([0xff, 0xfe]) }],
  ])("is %s: %s", async (reason, message, response) => {
    hosts.respond("bad.example", response);
    const failure = await failureOf(fetcher.fetch("bad.example"));
    expect(failure.reason).toBe(reason);
    expect(failure.failureClass).toBe(
      reason === "policy-syntax" ? "sts-policy-invalid" : "sts-policy-fetch-error",
    );
    expect(failure.message).toContain(`policy host mta-sts.bad.example [127.0.0.1]: ${message}`);
    expect(failure.trace.tlsVersion).toBe("TLSv1.3");
  });

  it("is a redirect, which is not followed, to loopback or elsewhere", async () => {
    hosts.serve("target.example", POLICY);
    const location = `https://mta-sts.target.example:${hosts.port}/.well-known/mta-sts.txt`;
    for (const status of [301, 302, 303, 307, 308]) {
      hosts.respond("redirect.example", {
        status,
        headers: { location, "content-type": "text/plain" },
        body: POLICY,
      });
      expect((await failureOf(fetcher.fetch("redirect.example"))).reason).toBe(`status-${status}`);
    }
    expect(hosts.requests("target.example")).toBe(0);
  });

  it("is a compressed one, which is not even unpacked", async () => {
    hosts.respond("bomb.example", {
      headers: { "content-type": "text/plain", "content-encoding": "gzip" },
      body: gzipSync(Buffer.alloc(10_000_000)),
    });
    const failure = await failureOf(fetcher.fetch("bomb.example"));
    expect(failure.reason).toBe("http-error");
    expect(failure.message).toContain("content-encoding gzip");
  });

  it("is judged by its header before its body arrives", async () => {
    hosts.respond("early.example", raw(`${HEAD}Content-Length: 65537\r\n\r\n`));
    const failure = await failureOf(fetcher.fetch("early.example"));
    expect(failure.reason).toBe("too-large");
    expect(failure.message).toContain("policy has 65537 octets, more than 65536");
  });
});

describe("the deadline", () => {
  const hurried = testFetcher({ ca, port: hosts.port, timeoutMs: 300 });

  it("ends a fetch whose answer never begins", async () => {
    hosts.respond("silent.example", raw(""));
    const failure = await failureOf(hurried.fetch("silent.example"));
    expect(failure.reason).toBe("timeout");
    expect(failure.message).toBe(
      "policy host mta-sts.silent.example [127.0.0.1]: no policy within 0.3 s (was waiting for the policy)",
    );
  });

  it("ends a body that drips", async () => {
    hosts.respond(
      "drip.example",
      raw(`${HEAD}Content-Length: 1000\r\n\r\n`, ({ socket }) => {
        const timer = setInterval(() => socket?.write("v"), 20);
        socket?.on("close", () => clearInterval(timer)).on("error", () => {});
      }),
    );
    const failure = await failureOf(hurried.fetch("drip.example"));
    expect(failure.reason).toBe("timeout");
    expect(failure.trace.bytes).toBeGreaterThan(1);
    await expect.poll(() => hosts.connections()).toBe(0);
  });

  it("does not run while a fetch waits for its turn", async () => {
    // Two at once at one address, 300 ms each: the last begins when 1.5 s are over.
    const patient = testFetcher({ ca, port: hosts.port, timeoutMs: 1500 });
    hosts.respond("slow.example", {
      body: (response) => setTimeout(() => response.setHeader("content-type", "text/plain").end(POLICY), 300),
    });
    const all = await Promise.all(Array.from({ length: 12 }, () => patient.fetch("slow.example")));
    expect(all.every(({ trace }) => trace.durationMs < 1500)).toBe(true);
  });
});

describe("the caller's signal", () => {
  it("ends a fetch under way", async () => {
    const controller = new AbortController();
    hosts.respond("abort.example", { body: () => controller.abort() });
    const failure = await failureOf(fetcher.fetch("abort.example", controller.signal));
    expect(failure.reason).toBe("aborted");
    expect(failure.message).toContain("given up while waiting for the policy");
    await expect.poll(() => hosts.connections()).toBe(0);
  });

  it("ends a fetch that waits for its turn, without a request", async () => {
    const single = testFetcher({ ca, port: hosts.port, concurrency: 1 });
    const controller = new AbortController();
    hosts.serve("second.example", POLICY);
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<ServerResponse>();
    hosts.respond("first.example", { body: arrive });
    const first = single.fetch("first.example");
    const response = await arrived;
    const second = failureOf(single.fetch("second.example", controller.signal));
    controller.abort();
    expect((await second).reason).toBe("aborted");
    response.setHeader("content-type", "text/plain").end(POLICY);
    await first;
    expect(hosts.requests("second.example")).toBe(0);
  });

  it("that has fired already prevents the fetch", async () => {
    hosts.serve("never.example", POLICY);
    expect((await failureOf(fetcher.fetch("never.example", AbortSignal.abort()))).reason).toBe("aborted");
    expect(hosts.requests("never.example")).toBe(0);
  });
});
