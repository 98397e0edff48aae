/** A store's failures, for the tests of those who use one. */
import { StoreError, type PolicyStore, type StoreErrorCode } from "../../src/store/store.ts";

export interface Failing {
  readonly store: PolicyStore;
  /** The calls from the `nth` on (1 is the next), `times` of them, fail with `code`. */
  readonly fail: (
    method: "get" | "put" | "noteDane" | "delete",
    code: StoreErrorCode,
    nth?: number,
    times?: number,
  ) => void;
}

/** Passes everything through to `inner`, until told to fail. */
export function failing(inner: PolicyStore): Failing {
  const planned = new Map<PropertyKey, { code: StoreErrorCode; passing: number; failing: number }>();

  function check(method: PropertyKey): StoreError | undefined {
    const plan = planned.get(method);
    if (plan === undefined || plan.passing-- > 0 || plan.failing-- <= 0) return undefined;
    return new StoreError(plan.code, `${String(method)} fails as planned`);
  }

  const store: PolicyStore = {
    get(domain) {
      const error = check("get");
      if (error) throw error;
      return inner.get(domain);
    },
    put: async (entry, dane) => {
      const error = check("put");
      if (error) throw error;
      return inner.put(entry, dane);
    },
    delete: async (domain) => {
      const error = check("delete");
      if (error) throw error;
      return inner.delete(domain);
    },
    touch: (domain, usedAt) => inner.touch(domain, usedAt),
    lastDane: (domain) => inner.lastDane(domain),
    noteDane: async (domain, kind) => {
      const error = check("noteDane");
      if (error) throw error;
      return inner.noteDane(domain, kind);
    },
    deleteExpired: (now, unusedSince) => inner.deleteExpired(now, unusedSince),
    rebase: (now) => inner.rebase(now),
    due: (now, usedSince, limit) => inner.due(now, usedSince, limit),
    nextDue: (now, usedSince) => inner.nextDue(now, usedSince),
    backlog: (now, usedSince, limit, dueAfter) => inner.backlog(now, usedSince, limit, dueAfter),
    list: (filter, after, limit) => inner.list(filter, after, limit),
    history: (domain) => inner.history(domain),
    counts: (now) => inner.counts(now),
    changedElsewhere: () => inner.changedElsewhere(),
    health: () => inner.health(),
    identity: () => inner.identity(),
    waitingWrites: () => inner.waitingWrites(),
    close: () => inner.close(),
  };

  return {
    store,
    fail: (method, code, nth = 1, times = 1) => {
      planned.set(method, { code, passing: nth - 1, failing: times });
    },
  };
}
