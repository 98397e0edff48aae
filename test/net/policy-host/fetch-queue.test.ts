import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { FetchQueue } from "../../../src/net/policy-host/fetch-queue.ts";

/** Lets all that can go on go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

/** Milliseconds that no test takes. */
const LONG = 600_000;

/** Enters a queue under names, so that the order can be seen. */
function observe(queue: FetchQueue) {
  const entered: string[] = [];
  const releases = new Map<string, () => void>();
  const told: string[] = [];
  return {
    entered,
    /** Who was asked to give way, and does. */
    told,
    enter: async (name: string, addresses: readonly string[], signal = never): Promise<void> => {
      const release = await queue.acquire(addresses, signal, () => {
        told.push(name);
        release();
      });
      entered.push(name);
      releases.set(name, release);
    },
    leave: async (name: string): Promise<void> => {
      releases.get(name)?.();
      await settle();
    },
  };
}

describe("the fetch queue", () => {
  it("admits so many in all, the first first", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 2, perAddress: 2, fairMs: LONG }),
    );
    for (const name of ["a", "b", "c", "d"]) void enter(name, [name]);
    await settle();
    expect(entered).toEqual(["a", "b"]);
    await leave("a");
    expect(entered).toEqual(["a", "b", "c"]);
    await leave("b");
    expect(entered).toEqual(["a", "b", "c", "d"]);
  });

  it("admits so many for one address, and lets others pass a full one", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 10, perAddress: 2, fairMs: LONG }),
    );
    for (const name of ["a1", "a2", "a3", "a4"]) void enter(name, ["a"]);
    void enter("b1", ["b"]);
    await settle();
    expect(entered).toEqual(["a1", "a2", "b1"]);
    await leave("a2");
    expect(entered).toEqual(["a1", "a2", "b1", "a3"]);
  });

  it("counts every address a fetch may connect to", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 10, perAddress: 1, fairMs: LONG }),
    );
    void enter("both", ["a", "b"]);
    void enter("a", ["a"]);
    void enter("b", ["b"]);
    await settle();
    expect(entered).toEqual(["both"]);
    await leave("both");
    expect(entered).toEqual(["both", "a", "b"]);
  });

  it("does not let those with fewer addresses overtake one with more", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 10, perAddress: 1, fairMs: LONG }),
    );
    void enter("a1", ["a"]);
    void enter("both", ["a", "b"]);
    void enter("b1", ["b"]);
    await settle();
    expect(entered).toEqual(["a1"]);
    await leave("a1");
    expect(entered).toEqual(["a1", "both"]);
    await leave("both");
    expect(entered).toEqual(["a1", "both", "b1"]);
  });

  it("lets addresses take turns, however many wait for one of them", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 1, perAddress: 1, fairMs: LONG }),
    );
    for (const name of ["a1", "a2", "a3"]) void enter(name, ["a"]);
    void enter("b1", ["b"]);
    await settle();
    await leave("a1");
    await leave("a2");
    await leave("b1");
    expect(entered).toEqual(["a1", "a2", "b1", "a3"]);
  });

  it("counts no address for fetches that know none", async () => {
    const { entered, enter } = observe(new FetchQueue({ concurrency: 3, perAddress: 1, fairMs: LONG }));
    for (const name of ["a", "b", "c", "d"]) void enter(name, []);
    await settle();
    expect(entered).toEqual(["a", "b", "c"]);
  });

  it("refuses who would wait behind too many, until there is room", async () => {
    const { entered, enter, leave } = observe(
      new FetchQueue({ concurrency: 1, perAddress: 1, fairMs: LONG, maxWaiting: 2 }),
    );
    const controller = new AbortController();
    void enter("a", ["a"]);
    void enter("b", ["b"]);
    const given = enter("c", ["c"], controller.signal);
    await expect(enter("d", ["d"])).rejects.toMatchObject({ name: "FetchFailure", reason: "overloaded" });
    controller.abort(new Error("gone"));
    await expect(given).rejects.toThrow("gone");
    void enter("e", ["e"]);
    await expect(enter("f", ["f"])).rejects.toMatchObject({ reason: "overloaded" });
    await leave("a");
    void enter("g", ["g"]);
    await leave("b");
    await leave("e");
    expect(entered).toEqual(["a", "b", "e", "g"]);
  });

  it("forgets who is aborted, and whom that one held up goes on", async () => {
    const { entered, enter } = observe(new FetchQueue({ concurrency: 10, perAddress: 1, fairMs: LONG }));
    const controller = new AbortController();
    void enter("a1", ["a"]);
    const both = enter("both", ["a", "b"], controller.signal);
    void enter("b1", ["b"]);
    await settle();
    controller.abort(new Error("gone"));
    await expect(both).rejects.toThrow("gone");
    expect(entered).toEqual(["a1", "b1"]);
    await expect(enter("late", ["c"], controller.signal)).rejects.toThrow("gone");
  });
});

describe("a holder whose fair time is over", () => {
  it("gives way to one who waits, the oldest first and no more than wait", async () => {
    const { entered, told, enter } = observe(new FetchQueue({ concurrency: 3, perAddress: 2, fairMs: 20 }));
    for (const name of ["a", "b", "c"]) await enter(name, [name]);
    await sleep(60);
    expect(told).toEqual([]);
    void enter("d", ["d"]);
    void enter("e", ["e"]);
    await settle();
    expect(told).toEqual(["a", "b"]);
    expect(entered).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("gives way as soon as it is over, when somebody has waited from before", async () => {
    const { told, enter } = observe(new FetchQueue({ concurrency: 1, perAddress: 1, fairMs: 20 }));
    void enter("a", ["a"]);
    await enter("b", ["b"]);
    expect(told).toEqual(["a"]);
  });

  it("keeps his slot where it is of no use to those who wait", async () => {
    const { told, enter } = observe(new FetchQueue({ concurrency: 10, perAddress: 1, fairMs: 20 }));
    await enter("other", ["b"]);
    await enter("a1", ["a"]);
    await enter("a2", ["a"]);
    expect(told).toEqual(["a1"]);
  });
});
