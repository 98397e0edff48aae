/** How the last write and the last read of a store went. */
import { storeError } from "./sqlite-error.ts";
import type { StoreError, StoreHealth } from "./store.ts";

export class Faults {
  readonly #path: string;
  #ofWrites: StoreError | undefined;
  #ofReads: StoreError | undefined;

  /** @param path of the file */
  constructor(path: string) {
    this.#path = path;
  }

  get health(): StoreHealth {
    const lastError = this.#ofWrites ?? this.#ofReads;
    return {
      writable: this.#ofWrites === undefined,
      readable: this.#ofReads === undefined,
      ...(lastError && { lastError }),
    };
  }

  /** `fault`: undefined where the read worked. */
  noteRead(fault: StoreError | undefined): void {
    this.#ofReads = fault;
  }

  /** Rejects with {@link StoreError}. A write that had nothing to write succeeds on a full disk too, and says nothing. */
  async observeWrite<T>(write: Promise<T>, hasWritten: (out: T) => boolean): Promise<T> {
    try {
      const out = await write;
      // Where the file was locked, to have had the lock is enough.
      if (hasWritten(out) || this.#ofWrites?.code === "busy") this.#ofWrites = undefined;
      return out;
    } catch (error) {
      this.#ofWrites = storeError(error, this.#path);
      throw this.#ofWrites;
    }
  }
}
