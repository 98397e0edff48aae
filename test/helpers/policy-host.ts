/** Policy hosts on loopback: one real HTTPS server that is `mta-sts.<domain>` for any domain, by server name. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext, type SecureContext, type TlsOptions } from "node:tls";
import type { Certificate, CertificateAuthority, CertificateOptions } from "./certificates.ts";

export interface PolicyResponse {
  /** Default: 200. */
  readonly status?: number;
  /** Default: `content-type: text/plain`. Given ones replace it. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Or a function that writes all of the answer (status and headers above are then not used). */
  readonly body?: string | Uint8Array | ((response: ServerResponse, request: IncomingMessage) => void);
}

export interface PolicyHostOptions {
  readonly ca: CertificateAuthority;
  /** Default: 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** For servers that are wrong: versions, ciphers, ALPN. */
  readonly tls?: Pick<TlsOptions, "minVersion" | "maxVersion" | "ciphers" | "ALPNProtocols">;
}

export interface PolicyHost extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Publishes a policy, as it should be. */
  serve(domain: string, policy: string): void;
  /** Answers any way you like. */
  respond(domain: string, response: PolicyResponse): void;
  /** Presents another certificate than a good one: what to issue, or the thing itself. */
  certificate(domain: string, certificate: CertificateOptions | Certificate): void;
  /** Cuts every connection for the domain in the handshake, until it is served again. */
  cut(domain: string): void;
  /** How often the policy was asked for. */
  requests(domain: string): number;
  /** The last request, or undefined. */
  lastRequest(domain: string): IncomingMessage | undefined;
  /** Connections open now. */
  connections(): Promise<number>;
  stop(): Promise<void>;
}

interface Domain {
  response: PolicyResponse | "cut";
  context: SecureContext | undefined;
  requests: IncomingMessage[];
}

/** Starts it. A domain nobody served is answered 404, with a good certificate. */
export async function startPolicyHost(options: PolicyHostOptions): Promise<PolicyHost> {
  const { ca, address = "127.0.0.1" } = options;
  const domains = new Map<string, Domain>();

  const domainOf = (domain: string): Domain => {
    const known = domains.get(domain);
    if (known !== undefined) return known;
    const fresh: Domain = { response: { status: 404 }, context: undefined, requests: [] };
    domains.set(domain, fresh);
    return fresh;
  };
  const contextOf = (name: string): SecureContext => {
    const domain = domainOf(withoutPrefix(name));
    domain.context ??= createSecureContext({ ...ca.issue({ names: [name] }), ...options.tls });
    return domain.context;
  };

  const server = createServer({
    ...ca.issue({ names: ["nobody.invalid"] }),
    ...options.tls,
    SNICallback: (name, callback) => {
      if (domainOf(withoutPrefix(name)).response === "cut") callback(new Error("cut"));
      else callback(null, contextOf(name));
    },
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    const domain = domainOf(withoutPrefix(host));
    domain.requests.push(request);
    answer(domain.response, request, response);
  });
  // What clients do to their connections is theirs to report.
  server.on("tlsClientError", () => {});
  server.listen(options.port ?? 0, address);
  await once(server, "listening");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A TCP server has no other kind of address.
  const { port } = server.address() as AddressInfo;

  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };

  return {
    address,
    port,
    serve: (domain, policy) => {
      domainOf(domain).response = { body: policy };
    },
    respond: (domain, response) => {
      domainOf(domain).response = response;
    },
    certificate: (domain, certificate) => {
      const issued = "cert" in certificate ? certificate : ca.issue(certificate);
      domainOf(domain).context = createSecureContext({ ...issued, ...options.tls });
    },
    cut: (domain) => {
      domainOf(domain).response = "cut";
    },
    requests: (domain) => domainOf(domain).requests.length,
    lastRequest: (domain) => domainOf(domain).requests.at(-1),
    connections: () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
      }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function answer(answered: PolicyResponse | "cut", request: IncomingMessage, response: ServerResponse): void {
  if (answered === "cut") {
    response.destroy();
    return;
  }
  const { status = 200, headers = { "content-type": "text/plain" }, body = "" } = answered;
  if (typeof body === "function") {
    body(response, request);
    return;
  }
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.writeHead(request.url === "/.well-known/mta-sts.txt" ? status : 404);
  response.end(body);
}

function withoutPrefix(host: string): string {
  return host.startsWith("mta-sts.") ? host.slice("mta-sts.".length) : host;
}
