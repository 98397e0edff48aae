/** Puts what was learnt on disk, for as long as anybody can be kept waiting for it. */
import { StoreError } from "../store/store.ts";
import type { LookupEvents } from "./events.ts";

/**
 * Resolves when what `write` writes, of the row of `domain`, is on disk, or when it is clear that it will not be soon: a full
 * or hung disk must not keep a policy from being applied. Never rejects; what goes wrong is reported.
 *
 * @param timeout milliseconds
 * @returns whether it is on disk
 */
export async function commit(
  write: () => Promise<void>,
  domain: string,
  events: LookupEvents,
  timeout: number,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_resolve, reject) => {
    const late = () => reject(new StoreError("busy", "the store did not write in time"));
    timer = setTimeout(late, timeout);
  });
  try {
    await Promise.race([write(), patience]);
    return true;
  } catch (error) {
    if (error instanceof StoreError) events.storeFailed("write", domain, error);
    else events.failed(domain, error);
    return false;
  } finally {
    clearTimeout(timer);
  }
}
