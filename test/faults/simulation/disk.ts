/** A disk that fills up, locks, hangs and fails, under a process that may die: a decorator around a store that outlives it. */
import { setTimeout as sleep } from "node:timers/promises";
import { StoreError, type Entry, type PolicyStore, type StoreErrorCode } from "../../../src/store/store.ts";

/** Milliseconds. */
const HUNG_POLL = 5_000;

/** Every call that the disk gets, and may refuse by throwing. */
export type Guard = (method: keyof PolicyStore, domain?: string) => void;

export interface DiskTap {
  /** `entry` was written, and `row` is what is on disk now. */
  committed(entry: Entry, row: Entry): void;
  /** A write will not come to the disk, or not in time. */
  refused(entry: Entry): void;
  /** The row cannot be read, or waits to be written and is not what it should be. */
  unreadable(domain: string): void;
}

/** What is wrong with the disk. `hung`: writes do not return while it is. */
export type DiskFault = StoreErrorCode | "hung" | "unreadable" | undefined;

export class Disk {
  fault: DiskFault;
  readonly #platter: PolicyStore;
  readonly #tap: DiskTap;
  readonly #latency: () => number;
  readonly #guard: Guard;

  constructor(platter: PolicyStore, tap: DiskTap, latency: () => number, guard: Guard = () => {}) {
    this.#platter = platter;
    this.#tap = tap;
    this.#latency = latency;
    this.#guard = guard;
  }

  /** The row as it is on disk, whatever is wrong with it. */
  row(domain: string): Entry | undefined {
    return this.#platter.get(domain);
  }

  /** The store of a process; of one that has ended, nothing comes to the disk any more, for its timers are gone. */
  open(): PolicyStore {
    const platter = this.#platter;
    let lastError: StoreError | undefined;
    // In the order in which they were asked for, as the writer's thread has them.
    let last: Promise<unknown> = Promise.resolve();
    /** Domains whose rows are to be written. */
    const waiting = new Set<string>();
    const observe = async <T>(
      method: keyof PolicyStore,
      domain: string | undefined,
      work: () => Promise<T>,
    ): Promise<T> => {
      try {
        const isWaiting = domain !== undefined && !waiting.has(domain);
        if (isWaiting) waiting.add(domain);
        const write = last.then(() => this.#write(method, domain, waiting, work));
        last = write.catch(() => undefined).then(() => isWaiting && waiting.delete(domain));
        const done = await write;
        lastError = undefined;
        return done;
      } catch (error) {
        if (error instanceof StoreError) lastError = error;
        throw error;
      }
    };
    const read = <T>(method: keyof PolicyStore, work: () => T, domain?: string): T => {
      this.#check(method, domain);
      return work();
    };
    return {
      get: (domain) => read("get", () => platter.get(domain), domain),
      put: async (entry, dane) => {
        try {
          await observe("put", entry.domain, () => platter.put(entry, dane));
        } catch (error) {
          this.#tap.refused(entry);
          throw error;
        }
        const row = platter.get(entry.domain);
        if (row !== undefined) this.#tap.committed(entry, row);
      },
      delete: (domain) => observe("delete", domain, () => platter.delete(domain)),
      deleteExpired: (now, since) =>
        observe("deleteExpired", undefined, () => platter.deleteExpired(now, since)),
      rebase: (now) => observe("rebase", undefined, () => platter.rebase(now)),
      touch: (domain, usedAt) => platter.touch(domain, usedAt),
      noteDane: (domain, kind) => observe("noteDane", domain, () => platter.noteDane(domain, kind)),
      lastDane: (domain) => read("lastDane", () => platter.lastDane(domain), domain),
      due: (now, since, limit) => read("due", () => platter.due(now, since, limit)),
      nextDue: (now, since) => read("nextDue", () => platter.nextDue(now, since)),
      backlog: async (now, since, limit, dueAfter) =>
        read("backlog", () => platter.backlog(now, since, limit, dueAfter)),
      list: (filter, after, limit) => read("list", () => platter.list(filter, after, limit)),
      history: (domain) => read("history", () => platter.history(domain), domain),
      counts: (now) => platter.counts(now),
      changedElsewhere: () => read("changedElsewhere", () => []),
      health: () => ({
        writable: lastError === undefined,
        readable: this.fault !== "unreadable",
        ...(lastError !== undefined && { lastError }),
      }),
      identity: () => undefined,
      waitingWrites: () => 0,
      // The platter is read on by the next process.
      close: async () => {},
    };
  }

  #check(method: keyof PolicyStore, domain: string | undefined): void {
    try {
      if (this.fault === "unreadable") throw new StoreError("io", "the disk cannot be read");
      this.#guard(method, domain);
    } catch (error) {
      if (domain !== undefined) this.#tap.unreadable(domain);
      throw error;
    }
  }

  async #write<T>(
    method: keyof PolicyStore,
    domain: string | undefined,
    waiting: ReadonlySet<string>,
    work: () => Promise<T>,
  ): Promise<T> {
    await sleep(this.#latency());
    while (this.fault === "hung") {
      for (const late of waiting) this.#tap.unreadable(late);
      await sleep(HUNG_POLL);
    }
    const { fault } = this;
    if (fault !== undefined && fault !== "unreadable") throw new StoreError(fault, `the disk: ${fault}`);
    this.#guard(method, domain);
    return work();
  }
}
