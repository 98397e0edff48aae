/** A connection to a policy host through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6). */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectSecurely, type SecureContext } from "node:tls";
import { request } from "../node-http.ts";
import { errorText, FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import type { Proxy } from "./proxy.ts";

/** Octets of all header lines of the proxy's answer. */
const MAX_HEADER_OCTETS = 16 * 1024;

/**
 * Asks `proxy` for a tunnel to `target` (`host:port`; the proxy resolves the name). Fills in the trace's address.
 *
 * @param secureContext the roots an https:// proxy is verified against
 * Throws {@link FetchFailure} `proxy-failed`, when the signal fires too.
 */
export async function openTunnel(
  proxy: Proxy,
  target: string,
  secureContext: SecureContext,
  trace: FetchTraceDraft,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connectTo(proxy, secureContext).setNoDelay(true);
  // Errors after the last of the request's are seen by whoever reads the tunnel.
  socket.on("error", () => {});
  try {
    const status = await askForTunnel(socket, proxy, target, signal);
    if (socket.remoteAddress !== undefined) trace.address = socket.remoteAddress;
    if (status >= 200 && status <= 299) return socket;
    throw new FetchFailure("proxy-failed", `the proxy refused the tunnel with status ${status}`);
  } catch (cause) {
    socket.destroy();
    if (cause instanceof FetchFailure) throw cause;
    throw new FetchFailure("proxy-failed", `no tunnel through the proxy: ${errorText(cause)}`, { cause });
  }
}

function connectTo({ origin }: Proxy, secureContext: SecureContext): Socket {
  const { protocol, hostname, port } = new URL(origin);
  // A URL has IPv6 addresses in brackets.
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (protocol === "http:") return connect({ host, port: Number(port || 80) });
  return connectSecurely({
    host,
    port: Number(port || 443),
    servername: isIP(host) === 0 ? host : "",
    secureContext,
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: true,
  });
}

/** The status of the proxy's answer; from 200 to 299, whatever goes over `socket` from then on reaches the policy host. */
function askForTunnel(socket: Socket, proxy: Proxy, target: string, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({
      method: "CONNECT",
      path: target,
      createConnection: () => socket,
      headers: {
        host: target,
        ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization }),
      },
      maxHeaderSize: MAX_HEADER_OCTETS,
      signal,
    });
    sent.on("error", reject);
    sent.on("connect", ({ statusCode = 0 }, _socket, head) => {
      // What came with the answer belongs to the tunnel.
      if (head.length > 0) socket.unshift(head);
      resolve(statusCode);
    });
    sent.end();
  });
}
