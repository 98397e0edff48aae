/** One GET over a connection that stands, and what of an answer counts as a policy file (RFC 8461 §3.2, §3.3). */
import type { ClientRequest, IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { request } from "../node-http.ts";
import { errorCode, errorText, FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import { handshakeFailure } from "./tls-failure.ts";

/** Octets of all header lines together. */
const MAX_HEADER_OCTETS = 16 * 1024;

/** Octets read in all, for each octet the body may have: chunks of one octet take six, records of one octet about thirty. */
const WIRE_OCTETS_PER_BODY_OCTET = 8;

/** Room for certificates, headers and interim answers in that count. */
const WIRE_OCTETS_BESIDE_BODY = 512 * 1024;

/** `text/plain`, whatever parameters follow. */
const TEXT_PLAIN = /^text\/plain[ \t]*(?:;|$)/i;

export interface PolicyRequest {
  /** `mta-sts.example.com`, with the port if it is not 443. */
  readonly authority: string;
  readonly path: string;
  readonly userAgent: string;
  /** Octets the body may have. */
  readonly maxBytes: number;
}

/**
 * Asks for the policy file over `socket`, which is of no use afterwards. Fills in the trace's HTTP part.
 *
 * @returns the body of a 200 answer of type text/plain
 * Throws {@link FetchFailure}, and an abort error when the signal fires.
 */
export async function requestPolicy(
  socket: TLSSocket,
  policyRequest: PolicyRequest,
  trace: FetchTraceDraft,
  signal: AbortSignal,
): Promise<Uint8Array> {
  // Nobody would tell node:http of what ended before it began.
  if (socket.destroyed) throw new FetchFailure("http-error", "closed the connection before it answered");
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const { maxBytes } = policyRequest;
  const sent = send(socket, policyRequest);
  sent.on("error", reject);
  sent.on("upgrade", () =>
    reject(new FetchFailure("http-error", "changed the protocol without being asked")),
  );
  sent.on("response", (response) => {
    response.on("error", reject);
    try {
      trace.status = response.statusCode ?? 0;
      checkHead(response, trace, maxBytes);
      collectBody(response, trace, maxBytes, resolve, reject);
    } catch (error) {
      reject(error);
    }
  });
  limitWireOctets(sent, WIRE_OCTETS_BESIDE_BODY + WIRE_OCTETS_PER_BODY_OCTET * maxBytes);
  try {
    return await promise;
  } catch (error) {
    if (error instanceof FetchFailure || signal.aborted) throw error;
    throw requestFailure(error);
  } finally {
    signal.removeEventListener("abort", abort);
    sent.destroy();
  }
}

function send(socket: TLSSocket, { authority, path, userAgent }: PolicyRequest): ClientRequest {
  const sent = request({
    createConnection: () => socket,
    path,
    headers: {
      host: authority,
      connection: "close",
      "user-agent": userAgent,
      accept: "text/plain",
      "accept-encoding": "identity",
    },
    maxHeaderSize: MAX_HEADER_OCTETS,
    insecureHTTPParser: false,
  });
  // Their octets are counted; node:http would leave out what is beyond a number of them without a word.
  sent.maxHeadersCount = 0;
  sent.end();
  return sent;
}

function checkHead(response: IncomingMessage, trace: FetchTraceDraft, maxBytes: number): void {
  const { statusCode = 0, headersDistinct: headers } = response;
  const contentType = oneValue(headers["content-type"]);
  if (contentType !== undefined) trace.contentType = contentType;
  const date = oneValue(headers["date"]);
  if (date !== undefined) trace.date = date;
  // RFC 8461 §3.3: anything but 200 is no policy, and redirects are not followed.
  if (statusCode !== 200) {
    if (statusCode < 100 || statusCode > 599)
      throw new FetchFailure("http-error", `answered with status ${statusCode}, which HTTP does not know`);
    const redirect = statusCode >= 300 && statusCode <= 399 ? ", and redirects must not be followed" : "";
    throw new FetchFailure(`status-${statusCode}`, `answered with status ${statusCode}${redirect}`);
  }
  if (contentType === undefined || !TEXT_PLAIN.test(contentType)) {
    throw new FetchFailure("media-type", `media type is ${contentType || "missing"}, not text/plain`);
  }
  const encoding = oneValue(headers["content-encoding"]) ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new FetchFailure(
      "http-error",
      `answered with content-encoding ${encoding}, although none was accepted`,
    );
  }
  const chunked = oneValue(headers["transfer-encoding"])?.toLowerCase() === "chunked";
  if (!chunked && headers["content-length"] === undefined) {
    // RFC 9112 §9.8: a body that only the close ends can be cut short by anybody on the way, TLS or not.
    throw new FetchFailure(
      "http-error",
      "answered with neither content-length nor chunks, so its end cannot be known",
    );
  }
  const length = Number(oneValue(headers["content-length"]) ?? 0);
  if (length > maxBytes)
    throw new FetchFailure("too-large", `policy has ${length} octets, more than ${maxBytes}`);
}

function collectBody(
  response: IncomingMessage,
  trace: FetchTraceDraft,
  maxBytes: number,
  resolve: (body: Uint8Array) => void,
  reject: (error: unknown) => void,
): void {
  const chunks: Uint8Array[] = [];
  let octets = 0;
  trace.bytes = 0;
  response.on("data", (chunk: Uint8Array) => {
    octets += chunk.length;
    trace.bytes = octets;
    if (octets <= maxBytes) chunks.push(chunk);
    else reject(new FetchFailure("too-large", `policy has more than ${maxBytes} octets`));
  });
  response.on("end", () => resolve(Buffer.concat(chunks)));
}

/** Bounds what limits on header and body do not see: interim answers, chunks of one octet and trailers without end. */
function limitWireOctets(sent: ClientRequest, limit: number): void {
  sent.on("socket", (socket) => {
    socket.on("data", () => {
      if (socket.bytesRead > limit)
        sent.destroy(new FetchFailure("too-large", `sent more than ${limit} octets`));
    });
  });
}

function oneValue(header: readonly string[] | undefined): string | undefined {
  return header?.join(", ");
}

function requestFailure(cause: unknown): FetchFailure {
  const code = errorCode(cause);
  // With TLS 1.3 the host's last word on the handshake comes when the client already writes.
  if (code.startsWith("ERR_SSL_")) return handshakeFailure(cause);
  if (code === "HPE_HEADER_OVERFLOW") {
    return new FetchFailure("http-error", `sent more than ${MAX_HEADER_OCTETS} octets of header`, { cause });
  }
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") {
    return new FetchFailure("too-large", "sent too many octets of chunk extensions", { cause });
  }
  if (code === "ECONNRESET" || code === "EPIPE" || code === "HPE_INVALID_EOF_STATE") {
    return new FetchFailure("http-error", "closed the connection before the answer was complete", { cause });
  }
  return new FetchFailure("http-error", `broke the rules of HTTP (${errorText(cause)})`, { cause });
}
