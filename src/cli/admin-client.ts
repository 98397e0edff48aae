/** The daemon by way of its admin socket: the cache commands, and how it is. */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

import type {
  CacheAdmin,
  CacheFile,
  CacheFilter,
  CacheReport,
  ImportOptions,
  ImportResult,
  RefreshResult,
} from "../lookup/cache/cache-admin.ts";
import type { CacheRecord } from "../lookup/cache/record.ts";
import { request } from "../net/node-http.ts";
import { splitLines } from "../server/lines.ts";

/**
 * - `unreachable`: nobody listens on the socket: the daemon is down.
 * - `denied`: this user may not use the socket.
 * - `refused`: the daemon could not do it; its log may say more.
 * - `broken`: the connection broke, or what answers is no stsmapd.
 */
export type AdminClientErrorCode = "unreachable" | "denied" | "refused" | "broken";

/** The daemon did not do it. The message is for the administrator. */
export class AdminClientError extends Error {
  override readonly name = "AdminClientError";
  readonly code: AdminClientErrorCode;

  constructor(code: AdminClientErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Longer than any line the daemon writes: it holds policies of 16 MiB at most, and JSON may escape every character. */
const MAX_LINE = 2 ** 28;
/** Lines of an import that are sent together, in octets. */
const CHUNK = 2 ** 16;
const LF = Buffer.from("\n");

const UNREACHABLE = new Set(["ENOENT", "ECONNREFUSED", "ENOTDIR"]);
const DENIED = new Set(["EACCES", "EPERM"]);

/** What is sent with a request. */
class Upload {
  readonly #lines: AsyncIterable<Uint8Array>;
  /** Why there are no more lines. The connection then breaks too, which tells nobody anything. */
  fault: Error | undefined;

  constructor(lines: AsyncIterable<Uint8Array>) {
    this.#lines = lines;
  }

  /** The octets of the lines, in pieces worth a system call. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    let waiting: Uint8Array[] = [];
    let octets = 0;
    try {
      for await (const line of this.#lines) {
        waiting.push(line, LF);
        octets += line.length + 1;
        if (octets < CHUNK) continue;
        yield Buffer.concat(waiting);
        waiting = [];
        octets = 0;
      }
    } catch (error) {
      this.fault = toError(error);
      throw error;
    }
    yield Buffer.concat(waiting);
  }
}

interface CallOptions {
  readonly body?: Upload | undefined;
  /** Ends it, also while the response is read. */
  readonly signal?: AbortSignal | undefined;
}

export class AdminClient implements CacheAdmin {
  readonly #socket: string;

  /** @param socket the path of the admin socket */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Any answer proves that the daemon runs; an older one tells nothing. Throws {@link AdminClientError}. */
  async file(): Promise<CacheFile | undefined> {
    const body = await this.#call("GET", "/cache-file").then(text);
    try {
      const told = this.#parse(body);
      const [identity, now] = [memberOf(told, "identity"), memberOf(told, "now")];
      return typeof identity === "string" && typeof now === "number" ? { identity, now } : undefined;
    } catch {
      return undefined;
    }
  }

  /** What /readyz says, also of a daemon that is not ready. Throws {@link AdminClientError}. */
  async health(signal: AbortSignal): Promise<unknown> {
    const response = await this.#call("GET", "/readyz", { signal });
    try {
      return this.#parse(await text(response));
    } catch (error) {
      throw this.#translate(error);
    }
  }

  async *list(filter: CacheFilter): AsyncGenerator<readonly CacheRecord[]> {
    const query = new URLSearchParams();
    if (filter.mode !== undefined) query.set("mode", filter.mode);
    if (filter.failed !== undefined) query.set("failed", `${filter.failed}`);
    if (filter.olderThan !== undefined) query.set("older_than", `${filter.olderThan}`);
    if (filter.expiresWithin !== undefined) query.set("expires_within", `${filter.expiresWithin}`);
    if (filter.wouldEnforce !== undefined) query.set("would_enforce", "true");
    if (filter.map !== undefined) query.set("map", filter.map);
    for await (const record of this.#lines<CacheRecord>("GET", `/cache?${query.toString()}`)) yield [record];
  }

  show(domain: string): Promise<CacheReport> {
    return this.#json("GET", `/cache/${domain}`);
  }

  refresh(domain: string): Promise<RefreshResult> {
    return this.#json("POST", `/cache/${domain}/refresh`);
  }

  refreshAll(): AsyncIterable<RefreshResult> {
    return this.#lines("POST", "/refresh");
  }

  async forget(domain: string): Promise<boolean> {
    const { forgotten } = await this.#json<{ forgotten: boolean }>("DELETE", `/cache/${domain}`);
    return forgotten;
  }

  import(lines: AsyncIterable<Uint8Array>, { keepLive }: ImportOptions): AsyncIterable<ImportResult> {
    return this.#lines("POST", `/import?keep_live=${keepLive}`, new Upload(lines));
  }

  async #json<T>(method: string, path: string): Promise<T> {
    const response = await this.#call(method, path);
    // oxlint-disable-next-line no-unsafe-type-assertion -- Whoever owns the socket is the daemon.
    return this.#expectOk(response, await text(response)) as T;
  }

  async *#lines<T>(method: string, path: string, body?: Upload): AsyncGenerator<T> {
    const response = await this.#call(method, path, { body });
    if (response.statusCode !== 200) this.#expectOk(response, await text(response));
    try {
      for await (const line of splitLines(response, MAX_LINE)) {
        const item: unknown = JSON.parse(Buffer.from(line).toString());
        const error = errorIn(item);
        if (error !== undefined) throw new AdminClientError("refused", error);
        // oxlint-disable-next-line no-unsafe-type-assertion -- Whoever owns the socket is the daemon.
        yield item as T;
      }
    } catch (error) {
      throw body?.fault ?? this.#translate(error);
    } finally {
      response.destroy();
    }
  }

  #parse(body: string): unknown {
    try {
      return JSON.parse(body);
    } catch (cause) {
      throw new AdminClientError("broken", `${this.#socket}: what answers is no stsmapd`, { cause });
    }
  }

  #expectOk(response: IncomingMessage, body: string): unknown {
    const value = this.#parse(body);
    if (response.statusCode !== 200)
      throw new AdminClientError("refused", errorIn(value) ?? `status ${response.statusCode}`);
    return value;
  }

  #call(method: string, path: string, { body, signal }: CallOptions = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const call = request({ socketPath: this.#socket, path, method, agent: false, signal });
    call.on("response", resolve);
    // Later ones reach whoever reads the response.
    call.on("error", (error) => reject(body?.fault ?? this.#translate(error)));
    if (body === undefined) call.end();
    else pipeline(Readable.from(body.chunks()), call).catch(() => call.destroy());
    return promise;
  }

  #translate(error: unknown): Error {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const options = { cause: error };
    if (UNREACHABLE.has(code))
      return new AdminClientError("unreachable", `nobody listens on ${this.#socket}`, options);
    if (DENIED.has(code)) {
      const advice = "run this as root, or as a member of the socket's group (admin.group)";
      return new AdminClientError("denied", `permission denied on ${this.#socket}: ${advice}`, options);
    }
    if (error instanceof AdminClientError) return error;
    const reason = toError(error).message;
    return new AdminClientError("broken", `${this.#socket}: the connection broke: ${reason}`, options);
  }
}

function errorIn(item: unknown): string | undefined {
  const error = memberOf(item, "error");
  return typeof error === "string" ? error : undefined;
}

function memberOf(item: unknown, name: string): unknown {
  return typeof item === "object" && item !== null ? Reflect.get(item, name) : undefined;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
