/** Standard output that may be long, slow, or cut off (`stsmapd cache list | head`). */
import { once } from "node:events";
import process from "node:process";
import type { Writable } from "node:stream";

export class Output {
  readonly #stream: Writable;
  #isCutOff = false;

  constructor(stream: Writable = process.stdout) {
    this.#stream = stream;
    stream.on("error", () => {
      this.#isCutOff = true;
    });
  }

  /** Whether nobody reads any more. */
  get isCutOff(): boolean {
    return this.#isCutOff;
  }

  /** Resolves when there is room for more. Never rejects. */
  async write(text: string): Promise<void> {
    if (this.#isCutOff || this.#stream.write(text)) return;
    await once(this.#stream, "drain").catch(() => undefined);
  }

  /** A line of JSON. */
  async json(value: unknown): Promise<void> {
    await this.write(`${JSON.stringify(value)}\n`);
  }
}
