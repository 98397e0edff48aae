/** Opens the store of a daemon or a command. */
import { setAside } from "./set-aside.ts";
import { RetryingStore } from "./retrying-store.ts";
import { DamageError } from "./sqlite-error.ts";
import { SqliteStore } from "./sqlite-store.ts";
import type { PolicyStore } from "./store.ts";
import type { SetAsideReport } from "./writer-protocol.ts";

export type { SetAsideReport } from "./writer-protocol.ts";

export interface OpenStoreOptions {
  /** The database file; its folder is made where it is missing. */
  readonly path: string;
  /** Milliseconds since 1970; goes into the name of a damaged file only. */
  readonly now: () => number;
  /** A damaged file was replaced, at once or later; to be said at error level. */
  readonly onSetAside?: (report: SetAsideReport) => void;
  /** The file could not be searched for damage; to be said at warn level. */
  readonly onUnsearched?: (error: unknown) => void;
  /** Search the file for damage in the background after opening. On by default. */
  readonly examine?: boolean;
  /** Milliseconds to wait for another process that writes; 5 s by default. */
  readonly busyTimeout?: number;
  /** Milliseconds a touch may wait to be written; 1 minute by default. */
  readonly touchDelay?: number;
  /** Milliseconds: a touch that would move `usedAt` by less is not written; 1 hour by default. */
  readonly touchStep?: number;
  /** The largest size of the file in pages of 4 KiB; for tests of a full disk. */
  readonly maxPages?: number;
}

/**
 * Opens the file, having found it writable and its tables sound at first sight; a damaged one is set aside first.
 * What cannot be written later is kept and tried again ({@link RetryingStore}).
 * Throws {@link StoreError}: `cannot-create`, `permission`, `read-only`, `full` and `incompatible` are the
 * administrator's to mend, and their message says how.
 */
export function openStore(options: OpenStoreOptions): PolicyStore {
  const { path, now, examine = true } = options;
  const { busyTimeout = 5000, touchDelay = 60_000, touchStep = 3_600_000 } = options;
  const { onSetAside = () => undefined, onUnsearched, maxPages } = options;
  const whatHappens = { onSetAside, onUnsearched };
  const open = () =>
    new SqliteStore({ path, now, ...whatHappens, busyTimeout, touchDelay, touchStep, maxPages });

  let store: SqliteStore;
  try {
    store = open();
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    const report = setAside({ path, busyTimeout, maxPages }, error.identity, now());
    store = open();
    if (report !== undefined) onSetAside(report);
    return new RetryingStore(store);
  }
  if (examine) store.examineSoon();
  return new RetryingStore(store);
}
