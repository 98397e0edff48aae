/** Puts what was learnt on disk, for as long as anybody can be kept waiting for it. */
import { StoreError } from "../store/store.ts";
import type { Entry, PolicyStore } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";

/**
 * Resolves when `entry` is on disk, or when it is clear that it will not be soon: a full or hung disk must not keep a policy
 * from being applied. Never rejects; what goes wrong is reported.
 *
 * @param timeout milliseconds
 */
export async function commit(
  entry: Entry,
  { store, events }: { readonly store: PolicyStore; readonly events: LookupEvents },
  timeout: number,
): Promise<void> {
  if (entry.pin === undefined && entry.failure === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    const late = () => reject(new StoreError("busy", "the store did not write in time"));
    timer = setTimeout(late, timeout);
  });
  try {
    await Promise.race([store.put(entry), patience]);
  } catch (error) {
    if (error instanceof StoreError) events.storeFailed("write", entry.domain, error);
    else events.failed(entry.domain, error);
  } finally {
    clearTimeout(timer);
  }
}
