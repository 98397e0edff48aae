/** One call of the store fails, and it is each of them in turn. */
import { describe, expect, it } from "vitest";
import { StoreError, type StoreErrorCode } from "../../src/store/store.ts";
import { simulateMonth, type MonthReport } from "./simulation/month.ts";

/** Of one seed: what is asked for, and what befalls whom, is the same until the call that fails. */
const SEED = 5;
/** Days; with some 200 calls. */
const DAYS = 0.25;

/** What a run comes to in which the call `nth` (0: none) fails with `code`, and how many calls it made. */
async function runWithFailure(nth: number, code: StoreErrorCode): Promise<MonthReport & { calls: number }> {
  let calls = 0;
  const guard = (method: string): void => {
    if (++calls === nth) throw new StoreError(code, `${method} fails as planned`);
  };
  const report = await simulateMonth({ seed: SEED, days: DAYS, guard });
  return { ...report, calls };
}

describe("whichever call of the store fails", () => {
  it.each(["full", "busy", "io"] as const)(
    "with %s, every promise is kept",
    async (code) => {
      const { calls } = await runWithFailure(0, code);
      expect(calls).toBeGreaterThan(100);
      for (let nth = 1; nth <= calls; nth++) {
        const { violations } = await runWithFailure(nth, code);
        expect(violations, `call ${nth}`).toEqual([]);
      }
    },
    60_000,
  );
});
