/** TLS with a policy host, and whether it is the host it should be (RFC 8461 §3.3). */
import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import { handshakeFailure, nameMismatch, oneLine, verifyFailure } from "./tls-failure.ts";

/** Without the post-quantum hybrids: a policy is public, and they add a fifth to the CPU time of a fetch. */
const KEY_EXCHANGE_GROUPS = "X25519:P-256:P-384:P-521";

/** One for all fetches: parsing the roots takes longer than a fetch. */
export function policyHostContext(roots: readonly string[]): SecureContext {
  return createSecureContext({ ca: roots.join("\n"), minVersion: "TLSv1.2", ecdhCurve: KEY_EXCHANGE_GROUPS });
}

/**
 * Speaks TLS over `transport` with the policy host `host` and verifies its certificate. Fills in the trace's TLS part.
 * Throws FetchFailure with a reason `tls-…` or `certificate-…`, and the signal's reason when it fires.
 */
export async function handshake(
  transport: Duplex,
  host: string,
  secureContext: SecureContext,
  trace: FetchTraceDraft,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const socket = connect({
    socket: transport,
    secureContext,
    servername: host,
    ALPNProtocols: ["http/1.1"],
    // Node would destroy the socket before anybody could see whose certificate failed. So the handshake is let through and
    // judged below, before the first octet is sent: the trace has the certificate, and no check is left to Node's defaults.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  // For that check Node would turn the whole chain into objects, with digests nobody reads: a sixth of the CPU time of a fetch.
  Object.defineProperty(socket, "getPeerCertificate", { value: () => undefined });
  // Whatever comes after the promise below is settled reaches the reader as the end of the stream.
  socket.on("error", () => {});
  try {
    await once(socket, "secureConnect", { signal });
    verify(socket, host, trace);
    return socket;
  } catch (error) {
    socket.destroy();
    if (error instanceof FetchFailure || signal.aborted) throw error;
    throw handshakeFailure(error);
  }
}

function verify(socket: TLSSocket, host: string, trace: FetchTraceDraft): void {
  trace.tlsVersion = socket.getProtocol() ?? "unknown";
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw handshakeFailure(new Error("no certificate"));
  const names = dnsNames(certificate);
  trace.certificate = {
    names,
    issuer: oneLine(certificate.issuer),
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
  };
  // Declared as an Error, but Node puts the code there.
  if (!socket.authorized) throw verifyFailure(String(socket.authorizationError), certificate);
  // RFC 8461 §3.3 with RFC 6125 §6.4: a DNS-ID, never the common name, `*` only as the complete left-most label.
  const matched = certificate.checkHost(host, {
    subject: "never",
    partialWildcards: false,
    multiLabelWildcards: false,
  });
  if (matched === undefined) throw nameMismatch(host, names);
}

/** One entry of Node's text for a subject alternative name; a value with a comma or a quote in it is a JSON string. */
const ALT_NAME = /(?:^|, )([^:]+):("(?:[^"\\]|\\.)*"|[^,]*)/gy;

/** For people to read; the check itself is OpenSSL's. */
function dnsNames(certificate: X509Certificate): string[] {
  const entries = (certificate.subjectAltName ?? "").matchAll(ALT_NAME);
  return [...entries].filter(([, type]) => type === "DNS").map(([, , name = ""]) => name);
}
