/** An smtp(8) process as a client: one connection, one question at a time, and what it does about a dead connection. */
import { setTimeout as sleep } from "node:timers/promises";
import { SocketmapClient, TcpTableClient } from "./postfix-client.ts";

/** dict_tcp.c: DICT_TCP_MAXTRY, a second apart. */
const TCP_TABLE_TRIES = 10;

/** dict_sockmap.c: a dead connection is tried once more, on a new one; but who cannot connect gives up. */
const SOCKETMAP_TRIES = 2;

/** `status` is that of socketmap, whatever the protocol; `FAILED` is a lookup that Postfix gives up: the mail is deferred. */
export interface Answer {
  readonly status: "OK" | "NOTFOUND" | "TEMP" | "TIMEOUT" | "PERM" | "FAILED";
  readonly text: string;
}

type Client = SocketmapClient | TcpTableClient;

const STATUS_OF_CODE = { 200: "OK", 500: "NOTFOUND", 400: "TEMP" } as const;

export class PostfixProcess implements Disposable {
  readonly #protocol: "socketmap" | "tcp_table";
  readonly #address: string;
  #client: Client | undefined;
  /** Questions that were answered, or given up. */
  lookups = 0;
  /** Connections that were found dead. */
  retries = 0;

  /** `address` as in configuration. */
  constructor(protocol: "socketmap" | "tcp_table", address: string) {
    this.#protocol = protocol;
    this.#address = address;
  }

  async ask(key: string): Promise<Answer> {
    try {
      return await this.#persist(key);
    } finally {
      this.lookups++;
    }
  }

  async #persist(key: string): Promise<Answer> {
    const isSocketmap = this.#protocol === "socketmap";
    const tries = isSocketmap ? SOCKETMAP_TRIES : TCP_TABLE_TRIES;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#ask(key);
      } catch (error) {
        const connected = this.#client;
        this[Symbol.dispose]();
        const isHopeless = connected === undefined || connected.raw.errorCode === "ETIMEDOUT";
        if (attempt === tries || (isSocketmap && isHopeless))
          return { status: "FAILED", text: String(error) };
        this.retries++;
        if (!isSocketmap) await sleep(1000);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
    this.#client = undefined;
  }

  async #ask(key: string): Promise<Answer> {
    this.#client ??= await (this.#protocol === "socketmap" ? SocketmapClient : TcpTableClient).connect(
      this.#address,
    );
    if (this.#client instanceof SocketmapClient) return this.#client.query("postfix", key);
    const { code, text } = await this.#client.query(key);
    return { status: STATUS_OF_CODE[code], text };
  }
}

/** Has each of `processes` ask one question after the other until `signal` fires. Resolves with every key and its answer. */
export async function askUntil(
  signal: AbortSignal,
  processes: readonly PostfixProcess[],
  keys: readonly string[],
): Promise<{ readonly key: string; readonly answer: Answer }[]> {
  const answers: { readonly key: string; readonly answer: Answer }[] = [];
  const lane = async (process: PostfixProcess) => {
    while (!signal.aborted) {
      const key = keys[answers.length % keys.length] ?? "";
      answers.push({ key, answer: await process.ask(key) });
      await sleep(1);
    }
  };
  await Promise.all(processes.map(lane));
  return answers;
}
