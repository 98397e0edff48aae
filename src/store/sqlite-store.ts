/** The durable store: reads on this thread, writes on the writer's, one SQLite file that other processes may share. */
import type { KnownDaneKind } from "../policy/verdict.ts";
import { searchForDamage } from "./damage-search.ts";
import { Faults } from "./faults.ts";
import { DamageError, storeError } from "./sqlite-error.ts";
import { fileIdentity, openFile, sharedIdentity } from "./sqlite-file.ts";
import { SqliteReader } from "./sqlite-reader.ts";
import { rowOf } from "./sqlite-row.ts";
import { StoreError } from "./store.ts";
import type {
  Backlog,
  Entry,
  HistoryStep,
  ListFilter,
  ListPage,
  PolicyStore,
  StoreCounts,
  StoreHealth,
} from "./store.ts";
import { WriteQueue } from "./write-queue.ts";
import type { RequestKind, Requests, SetAsideReport, Write, WriterOptions } from "./writer-protocol.ts";
import { WriterThread } from "./writer-thread.ts";

export interface SqliteStoreOptions extends WriterOptions {
  readonly now: () => number;
  /** Milliseconds that a touch may wait for a transaction. */
  readonly touchDelay: number;
  /** The file was found damaged and replaced; to be said loudly. */
  readonly onSetAside: (report: SetAsideReport) => void;
  /** The file could not be searched for damage. */
  readonly onUnsearched?: ((error: unknown) => void) | undefined;
}

/** Milliseconds the main thread waits for a lock: in WAL mode a reader meets one only while the log is recovered. */
const READ_PATIENCE = 250;

/** Milliseconds from opening to the search for damage: whoever opens the file is about to answer. */
const EXAMINE_DELAY = 250;
/** Rows deleted by one transaction, so that writes get in between. */
const DELETED_AT_ONCE = 500;
/** Rows looked at by one transaction. */
const REBASED_AT_ONCE = 5000;

/** Keeps the rules of {@link PolicyStore} in an SQLite file; one that is found damaged is replaced, and what can be read kept. */
export class SqliteStore implements PolicyStore {
  readonly #options: SqliteStoreOptions;
  readonly #thread: WriterThread;
  readonly #queue: WriteQueue;
  #reader: SqliteReader;
  /** Of the file that `#reader` has open. */
  #identity: string | undefined;
  /** This process's number in the file's rows, 0 before its first write. */
  #writer = 0;
  #examination: NodeJS.Timeout | undefined;
  readonly #ending = new AbortController();
  readonly #faults: Faults;
  #mending: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Opens the file at once; throws {@link StoreError}, `corrupt` included. The writer thread starts when it is needed. */
  constructor(options: SqliteStoreOptions) {
    const { path, busyTimeout, maxPages, touchStep, touchDelay } = options;
    this.#options = options;
    this.#faults = new Faults(path);
    this.#reader = this.#openReader(busyTimeout);
    this.#thread = new WriterThread({ path, busyTimeout, maxPages, touchStep });
    this.#queue = new WriteQueue((request) => this.#commit(request), touchDelay);
  }

  get(domain: string): Entry | undefined {
    return this.#read((reader) => reader.get(domain));
  }

  due(now: number, usedSince: number, limit: number): Entry[] {
    return this.#read((reader) => reader.due(now, usedSince, limit));
  }

  nextDue(now: number, usedSince: number): number | undefined {
    return this.#read((reader) => reader.nextDue(now, usedSince));
  }

  list(filter: ListFilter, after: string, limit: number): ListPage {
    return this.#read((reader) => reader.list(filter, after, limit));
  }

  history(domain: string): HistoryStep[] {
    return this.#read((reader) => reader.history(domain));
  }

  changedElsewhere(): string[] {
    this.#refuseWhenClosed();
    if (this.#identity !== fileIdentity(this.#options.path)) this.#reopen();
    // No `#read`: as long as nothing has changed it reads no table, and proves nothing.
    return this.#mendable(() => this.#reader.changedElsewhere(this.#writer));
  }

  put(entry: Entry, dane?: KnownDaneKind): Promise<void> {
    return this.#add({ kind: "put", row: rowOf(entry), dane });
  }

  delete(domain: string): Promise<void> {
    return this.#add({ kind: "delete", domain });
  }

  touch(domain: string, usedAt: number): void {
    if (this.#closing === undefined) this.#queue.touch(domain, usedAt);
  }

  lastDane(domain: string): KnownDaneKind | undefined {
    return this.#read((reader) => reader.lastDane(domain));
  }

  noteDane(domain: string, kind: KnownDaneKind): Promise<void> {
    return this.#add({ kind: "dane", domain, dane: kind });
  }

  async deleteExpired(now: number, unusedSince: number): Promise<number> {
    let total = 0;
    for (;;) {
      this.#refuseWhenClosed();
      const request = { now, unusedSince, limit: DELETED_AT_ONCE };
      const deleted = await this.#write("deleteExpired", request, (out) => out > 0);
      total += deleted;
      if (deleted < DELETED_AT_ONCE) return total;
    }
  }

  async rebase(now: number): Promise<number> {
    let total = 0;
    for (let after = 0; ;) {
      this.#refuseWhenClosed();
      const request = { now, after, limit: REBASED_AT_ONCE };
      const { moved, last } = await this.#write("rebase", request, (out) => out.moved > 0);
      total += moved;
      if (last === undefined) return total;
      after = last;
    }
  }

  async backlog(now: number, usedSince: number, limit: number, dueAfter: number): Promise<Backlog> {
    return this.#readOnThread("backlog", { now, usedSince, limit, dueAfter });
  }

  async counts(now: number): Promise<StoreCounts> {
    return this.#readOnThread("counts", { now });
  }

  waitingWrites(): number {
    return this.#queue.waiting;
  }

  health(): StoreHealth {
    return this.#faults.health;
  }

  identity(): string | undefined {
    return this.#closing === undefined ? sharedIdentity(this.#options.path, this.#identity) : undefined;
  }

  /** Searches the file for damage, and replaces it if there is any. Resolves when that is done; never rejects. */
  async examine(): Promise<void> {
    try {
      await searchForDamage(this.#options.path, this.#ending.signal);
    } catch (error) {
      if (error instanceof DamageError) await this.#mend(error);
      else if (!this.#ending.signal.aborted) this.#options.onUnsearched?.(error);
    }
  }

  /** The same, a little later. */
  examineSoon(): void {
    this.#examination = setTimeout(() => void this.examine(), EXAMINE_DELAY);
  }

  close(): Promise<void> {
    clearTimeout(this.#examination);
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** A search for damage is not waited for, a file that is being replaced is. */
  async #close(): Promise<void> {
    this.#ending.abort();
    await this.#queue.drain();
    await this.#mending;
    // The writer's connection is the last, so that the log is worked off on its thread.
    this.#reader.close();
    await this.#thread.close();
  }

  async #add(write: Write): Promise<void> {
    this.#refuseWhenClosed();
    return this.#queue.add(write);
  }

  async #commit(request: Requests["write"]["in"]): Promise<Requests["write"]["out"]> {
    const done = await this.#write("write", request, (out) => out.hasWritten);
    this.#writer = done.writer;
    return done;
  }

  /** Where the file is found damaged, it is replaced, and the request done once more. */
  async #write<K extends RequestKind>(
    kind: K,
    request: Requests[K]["in"],
    hasWritten: (out: Requests[K]["out"]) => boolean,
  ): Promise<Requests[K]["out"]> {
    const write = () => this.#faults.observeWrite(this.#thread.request(kind, request), hasWritten);
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      await this.#setAside(error);
      return write();
    }
  }

  /** Replaces the damaged file; once at a time, and not once the store is closing. Never rejects. */
  async #mend(damage: DamageError): Promise<void> {
    if (this.#closing !== undefined) return;
    this.#mending ??= this.#replace(damage);
    await this.#mending;
  }

  async #replace(damage: DamageError): Promise<void> {
    try {
      await this.#setAside(damage);
    } catch {
      // It stands in health().
    }
    this.#mending = undefined;
  }

  async #setAside({ identity }: DamageError): Promise<void> {
    const request = { damaged: identity, at: this.#options.now() };
    // Without a report too: another process has written the new file.
    const report = await this.#faults.observeWrite(this.#thread.request("setAside", request), () => true);
    if (report !== undefined) this.#options.onSetAside(report);
    this.#reopen();
  }

  /** `busyTimeout`: milliseconds to wait for a lock while the file is opened. */
  #openReader(busyTimeout: number, seen?: number): SqliteReader {
    const { path } = this.#options;
    // Asked for before, lest a newer file's is taken for it.
    const identity = fileIdentity(path);
    const db = openFile({ ...this.#options, busyTimeout });
    this.#identity = identity ?? fileIdentity(path);
    db.pragma(`busy_timeout = ${READ_PATIENCE}`);
    return new SqliteReader(db, seen);
  }

  /** Another file took the path: all of its rows count as changed elsewhere. */
  #reopen(): void {
    const old = this.#reader;
    this.#reader = this.#mendable(() => this.#openReader(READ_PATIENCE, 0));
    old.close();
  }

  #read<T>(query: (reader: SqliteReader) => T): T {
    this.#refuseWhenClosed();
    const out = this.#mendable(() => query(this.#reader));
    this.#faults.noteRead(undefined);
    return out;
  }

  /** A file that is found damaged is replaced in the background. */
  async #readOnThread<K extends "backlog" | "counts">(
    kind: K,
    request: Requests[K]["in"],
  ): Promise<Requests[K]["out"]> {
    this.#refuseWhenClosed();
    try {
      return await this.#thread.request(kind, request);
    } catch (error) {
      if (error instanceof DamageError) void this.#mend(error);
      throw error;
    }
  }

  /** Does `work`; a failure stands in {@link health}, and a file that is found damaged is replaced in the background. */
  #mendable<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      const error = storeError(cause, this.#options.path, this.#identity);
      this.#faults.noteRead(error);
      if (error instanceof DamageError) void this.#mend(error);
      throw error;
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closing !== undefined) throw new StoreError("closed", "the store is closed");
  }
}
