/** A month in which everything fails, from a few seeds; `test/faults/simulate.ts` runs as many as one likes. */
import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { simulateMonth } from "./simulation/month.ts";

/** Short enough for every run of the tests; everything has befallen somebody by then. */
const DAYS = 14;

describe("a simulated month", () => {
  it.each([1, 2, 3])("keeps every promise, whatever fails: seed %i", async (seed) => {
    const { violations, counts } = await simulateMonth({ seed, days: DAYS });
    expect(violations).toEqual([]);
    // All of it has happened, or nothing was shown.
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([]);
  });

  it("is the same again for the same seed, and another for another", async () => {
    const [one, again, other] = [
      await simulateMonth({ seed: 11, days: 5 }),
      await simulateMonth({ seed: 11, days: 5 }),
      await simulateMonth({ seed: 12, days: 5 }),
    ];
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
  });

  it("fails where what is told never comes to the disk", async () => {
    class LossyStore extends MemoryStore {
      override async put(): Promise<void> {}
    }
    const { violations } = await simulateMonth({ seed: 1, days: 5, platter: new LossyStore() });
    expect(violations.join("\n")).toContain("invariant 7");
  });
});
