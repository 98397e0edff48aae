import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterAll, describe, expect, it } from "vitest";
import { type CertificateOptions, createCa } from "../helpers/certificates.ts";
import { startPolicyHost } from "../helpers/policy-host.ts";
import { failureOf, testFetcher } from "../helpers/test-fetcher.ts";

const POLICY = "version: STSv1\nmode: testing\nmx: mx.example.com\nmax_age: 604800\n";

const ca = createCa();
const hosts = await startPolicyHost({ ca });
const fetcher = testFetcher({ ca, port: hosts.port });
const stopped: (() => unknown)[] = [() => hosts.stop()];
afterAll(() => Promise.all(stopped.map((stop) => stop())));

/** The port of a TCP server that does to each connection what it is told. */
async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stopped.push(() => server.close());
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A TCP server has no other kind of address.
  return (server.address() as AddressInfo).port;
}

const tcp = (onConnection: (socket: Socket) => void): Promise<number> =>
  listen(createServer((socket) => onConnection(socket.on("error", () => {}))));

describe("a certificate", () => {
  it.each<[string, CertificateOptions]>([
    ["its own name", { names: ["mta-sts.example.com"] }],
    ["its name in capitals", { names: ["MTA-STS.Example.COM"] }],
    ["a wildcard for the left-most label", { names: ["*.example.com"] }],
    ["several names", { names: ["example.com", "www.example.com", "192.0.2.1", "mta-sts.example.com"] }],
    ["another common name", { names: ["mta-sts.example.com"], commonName: "other.example" }],
  ])("is good with %s", async (_title, certificate) => {
    hosts.serve("example.com", POLICY);
    hosts.certificate("example.com", certificate);
    expect((await fetcher.fetch("example.com")).policy.mode).toBe("testing");
  });

  const future = new Date("2096-05-17T00:00:00Z");
  const names = ["mta-sts.example.com"];

  it.each<[string, string, CertificateOptions]>([
    [
      "certificate-expired",
      "certificate expired 2020-11-02",
      { names, notAfter: new Date("2020-11-02T12:00:00Z") },
    ],
    ["certificate-not-yet-valid", "certificate not valid before 2096-05-17", { names, notBefore: future }],
    ["certificate-self-signed", "certificate is self-signed", { names, selfSigned: true }],
    [
      "certificate-name-mismatch",
      "certificate is for www.example.com, not for mta-sts.example.com",
      { names: ["www.example.com"] },
    ],
    ["certificate-name-mismatch", "certificate is for *.com, not for", { names: ["*.com"] }],
    ["certificate-name-mismatch", "certificate is for *, not for", { names: ["*"] }],
    ["certificate-name-mismatch", "certificate is for mta-sts.*.com, not for", { names: ["mta-sts.*.com"] }],
    [
      "certificate-name-mismatch",
      "certificate is for mta*.example.com, not for",
      { names: ["mta*.example.com"] },
    ],
    [
      "certificate-name-mismatch",
      "certificate is for *.mta-sts.example.com, not for",
      { names: ["*.mta-sts.example.com"] },
    ],
    [
      "certificate-name-mismatch",
      "certificate is for a.b, b.b, c.b, d.b, e.b and 1 more, not for",
      { names: ["a.b", "b.b", "c.b", "d.b", "e.b", "f.b"] },
    ],
    ["certificate-name-mismatch", "(a common name does not count)", { commonName: "mta-sts.example.com" }],
    [
      "certificate-name-mismatch",
      "(a common name does not count)",
      { commonName: "mta-sts.example.com", names: ["127.0.0.1"] },
    ],
    [
      "certificate-invalid",
      "certificate is not acceptable (INVALID_PURPOSE)",
      { names, usages: ["1.3.6.1.5.5.7.3.2"] },
    ],
  ])("is refused as %s: %s", async (reason, message, certificate) => {
    hosts.serve("example.com", POLICY);
    hosts.certificate("example.com", certificate);
    const before = hosts.requests("example.com");
    const failure = await failureOf(fetcher.fetch("example.com"));
    expect(failure.reason).toBe(reason);
    expect(failure.failureClass).toBe("sts-webpki-invalid");
    expect(failure.message).toContain(`policy host mta-sts.example.com [127.0.0.1]: `);
    expect(failure.message).toContain(message);
    expect(failure.trace.certificate?.issuer).toMatch(/^CN=/);
    expect(hosts.requests("example.com")).toBe(before);
  });

  it("whose wildcard would have to span two labels is refused", async () => {
    hosts.serve("b.example.com", POLICY);
    hosts.certificate("b.example.com", { names: ["*.example.com"] });
    expect((await failureOf(fetcher.fetch("b.example.com"))).reason).toBe("certificate-name-mismatch");
  });

  it("from an unknown authority is refused", async () => {
    const stranger = createCa("Stranger");
    hosts.serve("stranger.example", POLICY);
    hosts.certificate("stranger.example", stranger.issue({ names: ["mta-sts.stranger.example"] }));
    const failure = await failureOf(fetcher.fetch("stranger.example"));
    expect(failure.reason).toBe("certificate-untrusted");
    expect(failure.message).toContain("issuer (CN=Stranger) is not trusted");
  });

  it("with an unknown root sent along is refused", async () => {
    const stranger = createCa("Stranger");
    const { key, cert } = stranger.issue({ names: ["mta-sts.root.example"] });
    hosts.serve("root.example", POLICY);
    hosts.certificate("root.example", { key, cert: cert + stranger.pem });
    expect((await failureOf(fetcher.fetch("root.example"))).reason).toBe("certificate-untrusted");
  });

  it("below an intermediate authority is good, and refused when that one is not sent", async () => {
    const { key, cert } = ca.intermediate().issue({ names: ["mta-sts.chain.example"] });
    hosts.serve("chain.example", POLICY);
    hosts.certificate("chain.example", { key, cert });
    expect((await fetcher.fetch("chain.example")).trace.certificate?.issuer).toBe(
      "CN=Throw-away test intermediate",
    );
    hosts.certificate("chain.example", { key, cert: cert.slice(0, cert.indexOf("-----BEGIN", 1)) });
    expect((await failureOf(fetcher.fetch("chain.example"))).message).toContain(
      "intermediate certificate is not sent",
    );
  });

  it("below an expired intermediate authority is refused, and the message says which one has expired", async () => {
    const expired = ca.intermediate({ commonName: "Old one", notAfter: new Date("2020-01-02T00:00:00Z") });
    hosts.serve("old.example", POLICY);
    hosts.certificate("old.example", expired.issue({ names: ["mta-sts.old.example"] }));
    const failure = await failureOf(fetcher.fetch("old.example"));
    expect(failure.reason).toBe("certificate-expired");
    expect(failure.message).toContain("issuer's certificate (CN=Old one) expired 2020-01-02");
  });
});

describe("the handshake", () => {
  it("takes TLS 1.2", async () => {
    await using older = await startPolicyHost({ ca, tls: { maxVersion: "TLSv1.2" } });
    older.serve("example.com", POLICY);
    expect((await testFetcher({ ca, port: older.port }).fetch("example.com")).trace.tlsVersion).toBe(
      "TLSv1.2",
    );
  });

  it("refuses TLS 1.1", async () => {
    const tls = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    await using oldest = await startPolicyHost({ ca, tls });
    oldest.serve("example.com", POLICY);
    const failure = await failureOf(testFetcher({ ca, port: oldest.port }).fetch("example.com"));
    expect(failure.reason).toBe("tls-version");
    expect(failure.failureClass).toBe("sts-policy-fetch-error");
    expect(failure.message).toContain("offers no TLS version from 1.2 on");
  });

  it("does not speak HTTP/2", async () => {
    await using modern = await startPolicyHost({ ca, tls: { ALPNProtocols: ["h2", "http/1.1"] } });
    modern.serve("example.com", POLICY);
    expect((await testFetcher({ ca, port: modern.port }).fetch("example.com")).policy.mode).toBe("testing");
    await using only = await startPolicyHost({ ca, tls: { ALPNProtocols: ["h2"] } });
    expect((await failureOf(testFetcher({ ca, port: only.port }).fetch("example.com"))).reason).toBe(
      "tls-error",
    );
  });

  it("fails with plain HTTP on the port", async () => {
    const port = await listen(createHttpServer());
    const failure = await failureOf(testFetcher({ ca, port }).fetch("example.com"));
    expect(failure.reason).toBe("tls-error");
    expect(failure.message).toContain("does not speak TLS on this port");
  });

  it.each<[string, (socket: Socket) => void]>([
    ["resets the connection", (socket) => socket.once("data", () => socket.resetAndDestroy())],
    ["closes the connection", (socket) => socket.once("data", () => socket.end())],
    ["closes the connection at once", (socket) => socket.end()],
  ])("fails when the host %s", async (_title, onConnection) => {
    const failure = await failureOf(testFetcher({ ca, port: await tcp(onConnection) }).fetch("example.com"));
    expect(failure.reason).toBe("tls-error");
    expect(failure.message).toContain("closed the connection during the TLS handshake");
  });

  it("fails when the host talks nonsense", async () => {
    const port = await tcp((socket) => socket.write("\x16\x03\x03\x00\x04nope"));
    expect((await failureOf(testFetcher({ ca, port }).fetch("example.com"))).reason).toBe("tls-error");
  });

  it("that never ends is ended by the deadline, and the connection is closed", async () => {
    let closed: Promise<unknown> | undefined;
    const port = await tcp((socket) => {
      closed = once(socket.resume(), "close");
    });
    const failure = await failureOf(testFetcher({ ca, port, timeoutMs: 200 }).fetch("example.com"));
    expect(failure.reason).toBe("timeout");
    expect(failure.message).toContain("was in the TLS handshake");
    await closed;
  });
});
