/** A connection to a policy host through an HTTP proxy, by CONNECT (RFC 9110 §9.3.6). */
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import { buildConnector, Client } from "undici";
import { errorText, FetchFailure, type FetchTraceDraft } from "./fetch-failure.ts";
import type { Proxy } from "./proxy.ts";

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
): Promise<Duplex> {
  const { hostname } = new URL(proxy.origin);
  const servername = isIP(hostname) === 0 ? hostname : "";
  const connector = buildConnector({ secureContext, rejectUnauthorized: true, allowH2: false, timeout: 0 });
  const client = new Client(proxy.origin, {
    // Else undici takes the server name from the Host header, which is the policy host's.
    connect: (options, callback) => connector({ ...options, servername }, callback),
    // The fetch's deadline covers this step too.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const { statusCode, socket } = await client.connect({
      path: target,
      headers: {
        host: target,
        ...(proxy.authorization === undefined ? {} : { "proxy-authorization": proxy.authorization }),
      },
      signal,
    });
    // Errors from here on are seen by whoever reads the tunnel.
    socket.on("error", () => {});
    const { remoteAddress } = socket as Duplex & { remoteAddress?: string };
    if (remoteAddress !== undefined) trace.address = remoteAddress;
    if (statusCode >= 200 && statusCode <= 299) return socket;
    socket.destroy();
    throw new FetchFailure("proxy-failed", `the proxy refused the tunnel with status ${statusCode}`);
  } catch (cause) {
    if (cause instanceof FetchFailure) throw cause;
    throw new FetchFailure("proxy-failed", `no tunnel through the proxy: ${errorText(cause)}`, {
      cause,
    });
  } finally {
    await client.destroy();
  }
}
