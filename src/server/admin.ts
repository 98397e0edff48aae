/**
 * HTTP for the command line and for those who watch the daemon: on a unix socket of its own, whose permissions say who may
 * use it, and on TCP. It knows nothing of what its routes do.
 */
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { formatHostPort } from "../net/listen-address.ts";
import type { HostPort } from "../net/listen-address.ts";
import { createServer } from "../net/node-http.ts";
import { listenError } from "./listen-error.ts";
import { listenOnUnixSocket } from "./unix-socket.ts";
import type { UnixSocketOptions } from "./unix-socket.ts";

export interface AdminRequest {
  /** What stands in the path for each `:name` of the route. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Empty, unless the route takes a body. */
  readonly body: AsyncIterable<Uint8Array>;
}

type AdminAnswer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly type: string; readonly text: string }
  /**
   * JSON Lines, written as fast as the client reads. A failure on the way becomes a last line `{"error":…}`. Who searches for
   * long gives empty chunks meanwhile: at one it ends if the client is gone, and the connection does not pass for idle.
   */
  | { readonly status: number; readonly lines: AsyncIterable<string> };

export interface AdminRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** `/cache/:domain` */
  readonly path: string;
  readonly takesBody?: boolean;
  readonly handle: (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>;
}

/** The request makes no sense. The message is for the client. */
export class AdminRequestError extends Error {
  override readonly name = "AdminRequestError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface AdminServerOptions extends UnixSocketOptions {
  readonly path: string;
  /** Milliseconds after which a connection without traffic ends; 5 minutes by default. */
  readonly idleTimeout?: number;
}

export interface AdminServer {
  /** Ends what is under way, and removes the socket. Idempotent. */
  close(): Promise<void>;
}

/** A few people and their scripts. */
const MAX_CONNECTIONS = 16;
const MAX_HEADER = 8_192;
/** Milliseconds: for the head of a request, for all of it, and without any traffic (a fetch may take its time). */
const HEAD_TIMEOUT = 5_000;
const REQUEST_TIMEOUT = 3_600_000;
const IDLE_TIMEOUT = 300_000;

/**
 * @param onError a route failed by a fault of our own
 * @throws {ListenError}
 */
export async function listenAdmin(
  { path, idleTimeout, ...options }: AdminServerOptions,
  routes: readonly AdminRoute[],
  onError: (error: unknown) => void,
): Promise<AdminServer> {
  const server = httpServer(routes, onError, idleTimeout);
  let remove: () => Promise<void>;
  try {
    remove = await listenOnUnixSocket(server, path, options, MAX_CONNECTIONS);
  } catch (error) {
    throw listenError(`unix:${path}`, error);
  }
  server.on("error", onError);
  let closing: Promise<void> | undefined;
  return { close: () => (closing ??= close(server, remove)) };
}

export interface TcpAdminServer extends AdminServer {
  /** With the port that was chosen for 0. */
  readonly address: string;
}

/** The same on TCP, for routes that anybody may use who reaches it. Throws {@link ListenError}. */
export async function listenAdminOnTcp(
  wanted: HostPort,
  routes: readonly AdminRoute[],
  onError: (error: unknown) => void,
): Promise<TcpAdminServer> {
  const server = httpServer(routes, onError);
  try {
    server.listen({ ...wanted, ipv6Only: true });
    await once(server, "listening");
  } catch (error) {
    throw listenError(formatHostPort(wanted), error);
  }
  server.on("error", onError);
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new TypeError("a TCP server without a port");
  let closing: Promise<void> | undefined;
  return {
    address: formatHostPort({ ...wanted, port: bound.port }),
    close: () => (closing ??= close(server, async () => {})),
  };
}

function httpServer(
  routes: readonly AdminRoute[],
  onError: (error: unknown) => void,
  idleTimeout = IDLE_TIMEOUT,
): Server {
  const server = createServer({
    maxHeaderSize: MAX_HEADER,
    headersTimeout: HEAD_TIMEOUT,
    requestTimeout: REQUEST_TIMEOUT,
    connectionsCheckingInterval: 1_000,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = idleTimeout;
  server.on("request", (request, response) => {
    serve(request, response, routes, onError).catch(() => response.destroy());
  });
  return server;
}

async function close(server: Server, remove: () => Promise<void>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  await remove();
  server.closeAllConnections();
  await closed;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  routes: readonly AdminRoute[],
  onError: (error: unknown) => void,
): Promise<void> {
  let answer: AdminAnswer;
  try {
    answer = await route(request, routes);
  } catch (error) {
    answer = failure(error, onError);
  }
  // A body that nobody wanted must not be taken for the next request.
  if (!request.complete && !("lines" in answer)) response.setHeader("Connection", "close");
  response.statusCode = answer.status;
  if ("lines" in answer) {
    response.setHeader("Content-Type", "application/jsonl");
    response.flushHeaders();
    // That the client went away is no fault of ours.
    const report = (error: unknown) => void (response.destroyed || onError(error));
    const lines = withFailure(notIdle(answer.lines, response), report);
    await pipeline(Readable.from(lines, { objectMode: false }), response);
    return;
  }
  if ("json" in answer) {
    response.setHeader("Content-Type", "application/json");
    response.end(`${JSON.stringify(answer.json)}\n`);
  } else {
    response.setHeader("Content-Type", answer.type);
    response.end(answer.text);
  }
}

function route(request: IncomingMessage, routes: readonly AdminRoute[]): AdminAnswer | Promise<AdminAnswer> {
  const url = URL.parse(request.url ?? "/", "http://localhost");
  if (url === null) throw new AdminRequestError(400, "that is no URL");
  const { pathname, searchParams: query } = url;
  const matches = routes.flatMap((candidate) => {
    const parameters = matchPath(candidate.path, pathname);
    return parameters === undefined ? [] : [{ ...candidate, parameters }];
  });
  const found = matches.find(({ method }) => method === request.method);
  if (found === undefined) {
    throw matches.length === 0
      ? new AdminRequestError(404, "there is no such path")
      : new AdminRequestError(405, `only ${matches.map(({ method }) => method).join(", ")}`);
  }
  const hasBody =
    request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
  if (hasBody && found.takesBody !== true) throw new AdminRequestError(413, "a body is not expected");
  return found.handle({ parameters: found.parameters, query, body: request });
}

/** The parameters of `path` under `pattern`; undefined where it is another path. */
function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) parameters[part.slice(1)] = value;
    else if (part !== value) return undefined;
  }
  return parameters;
}

function failure(error: unknown, onError: (error: unknown) => void): AdminAnswer {
  if (error instanceof AdminRequestError) return { status: error.status, json: { error: error.message } };
  onError(error);
  return { status: 500, json: { error: error instanceof Error ? error.message : String(error) } };
}

async function* withFailure(
  lines: AsyncIterable<string>,
  onError: (error: unknown) => void,
): AsyncGenerator<string> {
  try {
    yield* lines;
  } catch (error) {
    const answer = failure(error, onError);
    if ("json" in answer) yield `${JSON.stringify(answer.json)}\n`;
  }
}

/** Restarts the idle timer at each chunk, since an empty one is not written. */
async function* notIdle(lines: AsyncIterable<string>, response: ServerResponse): AsyncGenerator<string> {
  for await (const chunk of lines) {
    const { socket } = response;
    socket?.setTimeout(socket.timeout ?? 0);
    yield chunk;
  }
}
