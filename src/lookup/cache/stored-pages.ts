/** What is stored, page by page. */
import type { Entry, PolicyStore } from "../../store/store.ts";
import type { RowFilter } from "./cache-admin.ts";

/**
 * The rows that `filter` lets through among each `size` that follow each other in the order of names. Pages may be empty.
 *
 * @param now milliseconds since 1970
 * @throws {StoreError}
 */
export function* storedPages(
  store: Pick<PolicyStore, "list">,
  filter: RowFilter,
  size: number,
  now: number,
): Generator<readonly Entry[]> {
  const { olderThan, expiresWithin, ...ofStore } = filter;
  const fetchedBefore = olderThan === undefined ? {} : { fetchedBefore: now - olderThan };
  const expiresBefore = expiresWithin === undefined ? {} : { expiresBefore: now + expiresWithin };
  const storeFilter = { ...ofStore, ...fetchedBefore, ...expiresBefore };
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = store.list(storeFilter, after, size);
    yield page.entries;
    after = page.next;
  }
}
