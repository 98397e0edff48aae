/** One GET over a connection that stands, and what of an answer counts as a policy file (RFC 8461 §3.2, §3.3). */
import type { TLSSocket } from "node:tls";
import { Client, type Dispatcher } from "undici";
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
  /** `https://mta-sts.example.com`, with the port if it is not 443. */
  readonly origin: string;
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
  request: PolicyRequest,
  trace: FetchTraceDraft,
  signal: AbortSignal,
): Promise<Uint8Array> {
  limitWireOctets(socket, WIRE_OCTETS_BESIDE_BODY + WIRE_OCTETS_PER_BODY_OCTET * request.maxBytes);
  const client = new Client(request.origin, {
    connect: onlyOnce(socket),
    maxHeaderSize: MAX_HEADER_OCTETS,
    // The fetch's deadline covers both.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const response = await client.request({
      method: "GET",
      path: request.path,
      headers: { "user-agent": request.userAgent, accept: "text/plain", "accept-encoding": "identity" },
      reset: true,
      signal,
    });
    try {
      trace.status = response.statusCode;
      checkHead(response, trace, request.maxBytes);
      return await readBody(response, trace, request.maxBytes);
    } finally {
      // Without a listener, what destroying the connection does to a body not read to its end would be an uncaught error.
      response.body.on("error", () => {}).destroy();
    }
  } catch (error) {
    if (error instanceof FetchFailure || signal.aborted) throw error;
    throw requestFailure(error);
  } finally {
    await client.destroy();
  }
}

function checkHead(response: Dispatcher.ResponseData, trace: FetchTraceDraft, maxBytes: number): void {
  const { statusCode, headers } = response;
  const contentType = oneValue(headers["content-type"]);
  if (contentType !== undefined) trace.contentType = contentType;
  const date = oneValue(headers["date"]);
  if (date !== undefined) trace.date = date;
  // RFC 8461 §3.3: anything but 200 is no policy, and redirects are not followed.
  if (statusCode !== 200) {
    if (statusCode > 599)
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

async function readBody(
  response: Dispatcher.ResponseData,
  trace: FetchTraceDraft,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  trace.bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    trace.bytes += chunk.length;
    if (trace.bytes > maxBytes)
      throw new FetchFailure("too-large", `policy has more than ${maxBytes} octets`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Hands out the one connection; undici would ask for another when it breaks before the request is written. */
function onlyOnce(socket: TLSSocket): NonNullable<Client.Options["connect"]> {
  let used = false;
  return (_options, callback) => {
    const broken = used || socket.destroyed;
    used = true;
    // undici wants the answer after the call, not within it.
    queueMicrotask(() => {
      if (broken) callback(new FetchFailure("http-error", "closed the connection before it answered"), null);
      else callback(null, socket);
    });
  };
}

/** Bounds what limits on header and body do not see: interim answers, chunk extensions and trailers without end. */
function limitWireOctets(socket: TLSSocket, limit: number): void {
  socket.on("readable", () => {
    if (socket.bytesRead <= limit) return;
    socket.destroy(new FetchFailure("too-large", `sent more than ${limit} octets`));
  });
}

function oneValue(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.join(", ");
}

function requestFailure(cause: unknown): FetchFailure {
  const code = errorCode(cause);
  // With TLS 1.3 the host's last word on the handshake comes when the client already writes.
  if (code.startsWith("ERR_SSL_")) return handshakeFailure(cause);
  if (code === "UND_ERR_HEADERS_OVERFLOW") {
    return new FetchFailure("http-error", `sent more than ${MAX_HEADER_OCTETS} octets of header`, { cause });
  }
  if (code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE") {
    return new FetchFailure("http-error", "closed the connection before the answer was complete", { cause });
  }
  return new FetchFailure("http-error", `broke the rules of HTTP (${errorText(cause)})`, { cause });
}
