/** An HTTP proxy on loopback that knows CONNECT and nothing else. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Certificate } from "./certificates.ts";

export interface HttpProxyOptions {
  /** Where every tunnel leads, whatever it was asked for. */
  readonly target: { readonly address: string; readonly port: number };
  /** `user:password`; without: everybody may. */
  readonly credentials?: string;
  /** With: an https:// proxy. */
  readonly certificate?: Certificate;
  /** The status every tunnel is refused with. */
  readonly refuse?: number;
}

export interface HttpProxy extends AsyncDisposable {
  readonly port: number;
  /** `host:port` of each tunnel that was asked for. */
  readonly asked: readonly string[];
  /** The header lines of the last request. */
  lastHeaders(): IncomingMessage["headers"] | undefined;
  stop(): Promise<void>;
}

export async function startHttpProxy(options: HttpProxyOptions): Promise<HttpProxy> {
  const server = options.certificate === undefined ? createServer() : createSecureServer(options.certificate);
  const asked: string[] = [];
  const open = new Set<Duplex>();
  let lastHeaders: IncomingMessage["headers"] | undefined;
  const expected =
    options.credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(options.credentials).toString("base64")}`;

  server.on("connection", (socket: Duplex) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.on("connect", (request: IncomingMessage, client: Duplex) => {
    asked.push(request.url ?? "");
    lastHeaders = request.headers;
    client.on("error", () => {});
    const unauthorized = expected !== undefined && request.headers["proxy-authorization"] !== expected;
    const refusal = unauthorized ? 407 : options.refuse;
    if (refusal !== undefined) {
      client.end(`HTTP/1.1 ${refusal} No\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const upstream = connect(options.target.port, options.target.address, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
    upstream.on("error", () => client.destroy());
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A TCP server has no other kind of address.
  const { port } = server.address() as AddressInfo;

  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of open) socket.destroy();
    await closed;
  };
  return { port, asked, lastHeaders: () => lastHeaders, stop, [Symbol.asyncDispose]: stop };
}
