/** The main thread's end of the writer thread. */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { DamageError } from "./sqlite-error.ts";
import { StoreError } from "./store.ts";
import type {
  RequestKind,
  Requests,
  ResponseMessage,
  WriteFailure,
  WriterOptions,
} from "./writer-protocol.ts";

interface Waiting {
  // Whoever asked knows the type; the id ties the answer to it.
  readonly resolve: (out: never) => void;
  readonly reject: (error: StoreError) => void;
}

/** The same module from the checkout (.ts) and from dist/ (.js). */
const MODULE = new URL(`./sqlite-writer${extname(import.meta.url)}`, import.meta.url);

/** Starts with the first request, and again with the next after it died. Keeps the process alive only while one waits. */
export class WriterThread {
  readonly #options: WriterOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #lastId = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Rejects with {@link StoreError}. */
  request<K extends RequestKind>(kind: K, request: Requests[K]["in"]): Promise<Requests[K]["out"]> {
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage({ id, kind, in: request });
    });
  }

  /** Closes the file and joins the thread, if there is one. */
  async close(): Promise<void> {
    if (this.#worker === undefined) return;
    try {
      await this.request("close", undefined);
    } catch {
      // All that was to be written was answered before; a thread that dies lets go of its file.
    }
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(MODULE, {
      workerData: this.#options,
      name: "store-writer",
      // Options of the main program, such as --input-type, are not meant for this module.
      execArgv: [],
    });
    let cause: unknown;
    worker.on("message", (response: ResponseMessage) => {
      this.#answer(response);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on("error", (error) => (cause = error));
    worker.on("exit", () => {
      this.#worker = undefined;
      const error = new StoreError("io", "the store's writer thread stopped", { cause });
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return worker;
  }

  #answer(response: ResponseMessage): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if ("failure" in response) {
      waiting?.reject(toError(response.failure));
    } else {
      waiting?.resolve(response.out);
    }
  }
}

function toError({ code, message, identity }: WriteFailure): StoreError {
  return code === "corrupt" ? new DamageError(message, identity) : new StoreError(code, message);
}
