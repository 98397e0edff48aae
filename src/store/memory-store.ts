/** A store that forgets everything at the end of the process. */
import type { KnownDaneKind } from "../policy/verdict.ts";
import { meets } from "./list-filter.ts";
import { merged } from "./merged.ts";
import { rebased } from "./rebase.ts";
import { rowOf } from "./sqlite-row.ts";
import { dueAt, HISTORY_LENGTH, spentAt, StoreError } from "./store.ts";
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

const WEEK_MS = 7 * 86_400_000;

interface Row {
  entry: Entry;
  readonly history: HistoryStep[];
  dane?: KnownDaneKind;
}

/** Keeps the rules of {@link PolicyStore} in a Map. Scans all rows for `due`, `backlog`, `list` and `counts`. */
export class MemoryStore implements PolicyStore {
  readonly #rows = new Map<string, Row>();
  #closed = false;

  get(domain: string): Entry | undefined {
    this.#refuseWhenClosed();
    return this.#rows.get(domain)?.entry;
  }

  async put(entry: Entry, dane?: KnownDaneKind): Promise<void> {
    this.#refuseWhenClosed();
    refuseFractions(entry);
    const row: Row = this.#rows.get(entry.domain) ?? { entry, history: [] };
    row.entry = merged(row.entry, entry);
    addSteps(row.history, entry);
    if (dane !== undefined) row.dane ??= dane;
    this.#rows.set(entry.domain, row);
  }

  touch(domain: string, usedAt: number): void {
    const row = this.#rows.get(domain);
    if (row !== undefined && usedAt > row.entry.usedAt) row.entry = { ...row.entry, usedAt };
  }

  lastDane(domain: string): KnownDaneKind | undefined {
    this.#refuseWhenClosed();
    return this.#rows.get(domain)?.dane;
  }

  async noteDane(domain: string, kind: KnownDaneKind): Promise<void> {
    this.#refuseWhenClosed();
    const row = this.#rows.get(domain);
    if (row !== undefined) row.dane = kind;
  }

  async delete(domain: string): Promise<void> {
    this.#refuseWhenClosed();
    this.#rows.delete(domain);
  }

  async deleteExpired(now: number, unusedSince: number): Promise<number> {
    this.#refuseWhenClosed();
    const before = this.#rows.size;
    for (const entry of this.#entries()) {
      const isBlank = entry.pin === undefined && entry.failure === undefined;
      if (spentAt(entry) <= now && (isBlank || entry.usedAt < unusedSince)) this.#rows.delete(entry.domain);
    }
    return before - this.#rows.size;
  }

  async rebase(now: number): Promise<number> {
    this.#refuseWhenClosed();
    let moved = 0;
    for (const row of this.#rows.values()) {
      const entry = rebased(row.entry, now);
      if (entry === row.entry) continue;
      row.entry = entry;
      moved++;
      const ahead = (row.history.at(-1)?.firstSeen ?? 0) - now;
      const steps = row.history.map((step) =>
        step.firstSeen > now ? { ...step, firstSeen: step.firstSeen - ahead } : step,
      );
      row.history.splice(0, Infinity, ...steps);
    }
    return moved;
  }

  due(now: number, usedSince: number, limit: number): Entry[] {
    this.#refuseWhenClosed();
    const due = this.#withDueTime(now, usedSince).filter(({ at }) => at <= now);
    due.sort((a, b) => a.at - b.at);
    return due.slice(0, limit).map(({ entry }) => entry);
  }

  nextDue(now: number, usedSince: number): number | undefined {
    this.#refuseWhenClosed();
    const times = this.#withDueTime(now, usedSince).map(({ at }) => at);
    return times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
  }

  async backlog(now: number, usedSince: number, limit: number, dueAfter: number): Promise<Backlog> {
    this.#refuseWhenClosed();
    const due = this.#withDueTime(now, usedSince).filter(({ at }) => at > dueAfter && at <= now);
    const pins = due.map(({ entry: { domain, pin }, at }) => {
      return { domain, dueAt: at, expiresAt: pin?.expiresAt ?? Infinity };
    });
    pins.sort((a, b) => a.expiresAt - b.expiresAt || a.dueAt - b.dueAt);
    return { rows: pins.length, firstToLapse: pins.slice(0, limit) };
  }

  list(filter: ListFilter, after: string, limit: number): ListPage {
    this.#refuseWhenClosed();
    const domains = [...this.#rows.keys()].filter((domain) => domain > after).sort();
    const page = domains.slice(0, limit);
    const entries = page.flatMap((domain) => {
      const entry = this.#rows.get(domain)?.entry;
      return entry !== undefined && meets(filter, entry) ? [entry] : [];
    });
    return { entries, next: page.length < limit ? undefined : page.at(-1) };
  }

  history(domain: string): HistoryStep[] {
    this.#refuseWhenClosed();
    return [...(this.#rows.get(domain)?.history ?? [])];
  }

  async counts(now: number): Promise<StoreCounts> {
    this.#refuseWhenClosed();
    const entries = { enforce: 0, testing: 0, none: 0, unpinned: 0 };
    let expiringSoon = 0;
    let lapsing = 0;
    let oldestCheck: number | undefined;
    for (const { pin, failure, checkedAt, usedAt } of this.#entries()) {
      entries[pin?.mode ?? "unpinned"]++;
      if (pin === undefined) continue;
      if (pin.expiresAt > now && pin.expiresAt <= now + WEEK_MS) {
        expiringSoon++;
        if (pin.mode !== "none" && failure !== undefined && usedAt > now - WEEK_MS) lapsing++;
      }
      oldestCheck = Math.min(checkedAt, oldestCheck ?? checkedAt);
    }
    return { entries, expiringSoon, lapsing, oldestCheck };
  }

  changedElsewhere(): string[] {
    return [];
  }

  waitingWrites(): number {
    return 0;
  }

  identity(): undefined {}

  health(): StoreHealth {
    return { writable: true, readable: true };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #entries(): Entry[] {
    return [...this.#rows.values()].map(({ entry }) => entry);
  }

  #withDueTime(now: number, usedSince: number): { entry: Entry; at: number }[] {
    return this.#entries().flatMap((entry) => {
      const at = dueAt(entry);
      const isLive = entry.pin !== undefined && now < entry.pin.expiresAt;
      return at !== undefined && isLive && entry.usedAt >= usedSince ? [{ entry, at }] : [];
    });
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new StoreError("closed", "the store is closed");
  }
}

/** As the columns of the table do. */
function refuseFractions(entry: Entry): void {
  const fraction = rowOf(entry).find((value) => typeof value === "number" && !Number.isInteger(value));
  if (fraction !== undefined)
    throw new StoreError("invalid", `${entry.domain}: ${fraction} is no whole number`);
}

function addSteps(history: HistoryStep[], { pin, failure }: Entry): void {
  const steps: HistoryStep[] = [];
  if (pin) steps.push({ recordId: pin.recordId, firstSeen: pin.fetchedAt, outcome: pin.mode });
  if (failure)
    steps.push({ recordId: failure.recordId, firstSeen: failure.failedAt, outcome: failure.reason });
  steps.sort((a, b) => a.firstSeen - b.firstSeen);
  for (const step of steps) {
    const last = history.at(-1);
    const isOlder = last !== undefined && last.firstSeen >= step.firstSeen;
    const isSame = last?.recordId === step.recordId && last.outcome === step.outcome;
    if (!isOlder && !isSame) history.push(step);
  }
  history.splice(0, history.length - HISTORY_LENGTH);
}
