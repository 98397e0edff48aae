/** What cannot be written now, because the disk is full or the file is locked, is kept and written later. */
import type { KnownDaneKind } from "../policy/verdict.ts";
import { merged } from "./merged.ts";
import { rebased } from "./rebase.ts";
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

export interface RetryingStoreOptions {
  /** Milliseconds from a failure to the next try; 5 s by default. */
  readonly retryDelay?: number;
  /** Domains kept; of more, the newest. 10,000 by default. */
  readonly mostKept?: number;
}

/** Rows tried at once: one transaction, so that a disk that is still full costs little, and other writes get in between. */
const TRIED_AT_ONCE = 100;

/** What could not be written of a domain. */
interface Kept {
  readonly entry: Entry;
  /** The DANE state that came with it, for a row that has none. */
  readonly dane: KnownDaneKind | undefined;
  /** The DANE state that was noted since. */
  readonly noted?: KnownDaneKind | undefined;
}

/**
 * Passes everything through to another store. A put that fails through no fault of its entry still rejects, so that it is
 * reported, but the entry is kept: `get` sees it, and it is tried again until it is written, at the latest by `close`.
 * A DANE state noted meanwhile is kept and written with it. All else, such as `list` and `due`, tells of what is on disk.
 */
export class RetryingStore implements PolicyStore {
  readonly #inner: PolicyStore;
  readonly #retryDelay: number;
  readonly #mostKept: number;
  /** By domain, the longest kept first. */
  readonly #kept = new Map<string, Kept>();
  /** By domain, the end of the last put that is under way. */
  readonly #putting = new Map<string, Promise<void>>();
  /** The `now` of a {@link rebase} that failed. */
  #owedRebase: number | undefined;
  #rebasing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retrying: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Owns `inner` from here. */
  constructor(inner: PolicyStore, { retryDelay = 5_000, mostKept = 10_000 }: RetryingStoreOptions = {}) {
    this.#inner = inner;
    this.#retryDelay = retryDelay;
    this.#mostKept = mostKept;
  }

  get(domain: string): Entry | undefined {
    const stored = this.#inner.get(domain);
    const kept = this.#kept.get(domain)?.entry;
    return stored && kept ? merged(stored, kept) : (kept ?? stored);
  }

  async put(entry: Entry, dane?: KnownDaneKind): Promise<void> {
    // What is kept is older, and must not be written behind this: a failure of the same check would be set back.
    if (this.#kept.has(entry.domain)) this.#keep(entry, dane);
    const { promise, resolve: end } = Promise.withResolvers<void>();
    this.#putting.set(entry.domain, promise);
    try {
      await this.#put(entry, dane);
    } catch (error) {
      if (isWorthRetry(error)) this.#keep(entry, dane);
      throw error;
    } finally {
      end();
      if (this.#putting.get(entry.domain) === promise) this.#putting.delete(entry.domain);
    }
  }

  async delete(domain: string): Promise<void> {
    // Now, lest it is tried again behind the deletion; and once more, for a put before it that failed meanwhile.
    this.#kept.delete(domain);
    await this.#inner.delete(domain);
    this.#kept.delete(domain);
  }

  rebase(now: number): Promise<number> {
    for (const [domain, kept] of this.#kept)
      this.#kept.set(domain, { ...kept, entry: rebased(kept.entry, now) });
    return this.#rebase(now);
  }

  /** Tries what is kept once more, then closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  touch(domain: string, usedAt: number): void {
    this.#inner.touch(domain, usedAt);
  }

  lastDane(domain: string): KnownDaneKind | undefined {
    const kept = this.#kept.get(domain);
    return kept?.noted ?? this.#inner.lastDane(domain) ?? kept?.dane;
  }

  /** Of a domain whose row is kept, so is this: it goes to the disk with the row, and nobody waits for it. */
  async noteDane(domain: string, kind: KnownDaneKind): Promise<void> {
    // Before its end it is not known whether there will be a row, or one that is kept.
    await this.#putting.get(domain);
    const kept = this.#kept.get(domain);
    if (kept === undefined) return this.#inner.noteDane(domain, kind);
    this.#kept.set(domain, { ...kept, noted: kind });
  }

  deleteExpired(now: number, unusedSince: number): Promise<number> {
    return this.#inner.deleteExpired(now, unusedSince);
  }

  due(now: number, usedSince: number, limit: number): Entry[] {
    return this.#inner.due(now, usedSince, limit);
  }

  nextDue(now: number, usedSince: number): number | undefined {
    return this.#inner.nextDue(now, usedSince);
  }

  backlog(now: number, usedSince: number, limit: number, dueAfter: number): Promise<Backlog> {
    return this.#inner.backlog(now, usedSince, limit, dueAfter);
  }

  list(filter: ListFilter, after: string, limit: number): ListPage {
    return this.#inner.list(filter, after, limit);
  }

  history(domain: string): HistoryStep[] {
    return this.#inner.history(domain);
  }

  counts(now: number): Promise<StoreCounts> {
    return this.#inner.counts(now);
  }

  changedElsewhere(): string[] {
    const domains = this.#inner.changedElsewhere();
    for (const domain of domains)
      if (this.#kept.has(domain) && this.#isGone(domain)) this.#kept.delete(domain);
    return domains;
  }

  identity(): string | undefined {
    return this.#inner.identity();
  }

  health(): StoreHealth {
    return this.#inner.health();
  }

  waitingWrites(): number {
    return this.#kept.size + this.#inner.waitingWrites();
  }

  async #rebase(now: number): Promise<number> {
    try {
      const moved = await this.#inner.rebase(now);
      this.#owedRebase = undefined;
      return moved;
    } catch (error) {
      this.#owedRebase = now;
      throw error;
    }
  }

  /** Not before a rebase that failed: a row from ahead of the clock would pass for newer than `entry`, and stay. */
  async #put(entry: Entry, dane: KnownDaneKind | undefined): Promise<void> {
    if (this.#owedRebase !== undefined) {
      const owed = this.#owedRebase;
      this.#rebasing ??= this.#rebase(owed)
        .then(() => undefined)
        .finally(() => (this.#rebasing = undefined));
      await this.#rebasing;
    }
    await this.#inner.put(entry, dane);
  }

  #keep(entry: Entry, dane: KnownDaneKind | undefined): void {
    const { domain } = entry;
    const before = this.#kept.get(domain);
    this.#kept.delete(domain);
    const both = before && {
      entry: merged(before.entry, entry),
      dane: dane ?? before.dane,
      noted: before.noted,
    };
    this.#kept.set(domain, both ?? { entry, dane });
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > this.#mostKept) this.#kept.delete(oldest);
    this.#arm();
  }

  /** False where the row cannot be read: nothing is dropped on a guess. */
  #isGone(domain: string): boolean {
    try {
      return this.#inner.get(domain) === undefined;
    } catch {
      return false;
    }
  }

  #arm(): void {
    if (this.#kept.size === 0 || this.#closing !== undefined) return;
    this.#timer ??= setTimeout(() => void this.#retry(), this.#retryDelay).unref();
  }

  #retry(): Promise<void> {
    this.#retrying ??= this.#retryAll().finally(() => {
      this.#retrying = undefined;
      this.#timer = undefined;
      this.#arm();
    });
    return this.#retrying;
  }

  /** Up to the first failure that time may mend. Never rejects. */
  async #retryAll(): Promise<void> {
    const left = [...this.#kept.values()];
    while (left.length > 0) {
      const portion = left.splice(0, TRIED_AT_ONCE);
      const areDone = await Promise.all(portion.map((kept) => this.#wasWritten(kept)));
      if (areDone.includes(false)) return;
    }
  }

  /** True too where there is nothing left to be tried. */
  async #wasWritten(kept: Kept): Promise<boolean> {
    const { entry, dane, noted } = kept;
    const isStillKept = () => this.#kept.get(entry.domain) === kept;
    if (!isStillKept()) return true;
    try {
      // With the row, where it is the first; and once more, in place of what was known before.
      await this.#put(entry, noted ?? dane);
      if (noted !== undefined) await this.#inner.noteDane(entry.domain, noted);
    } catch (error) {
      if (isWorthRetry(error)) return false;
    }
    // Something newer may have been kept meanwhile.
    if (isStillKept()) this.#kept.delete(entry.domain);
    return true;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    await Promise.all(this.#putting.values());
    await this.#retrying;
    await this.#retry();
    await this.#inner.close();
  }
}

function isWorthRetry(error: unknown): boolean {
  return error instanceof StoreError && error.code !== "invalid" && error.code !== "closed";
}
