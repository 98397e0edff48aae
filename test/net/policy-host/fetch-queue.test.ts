import { describe, expect, it } from "vitest";
import { FetchQueue } from "../../../src/net/policy-host/fetch-queue.ts";

/** Lets all that can go on go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

/** Enters a queue under names, so that the order can be seen. */
function observe(queue: FetchQueue) {
  const entered: string[] = [];
  const releases = new Map<string, () => void>();
  return {
    entered,
    enter: async (name: string, addresses: readonly string[], signal = never): Promise<void> => {
      const release = await queue.acquire(addresses, signal);
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
    const { entered, enter, leave } = observe(new FetchQueue(2, 2));
    for (const name of ["a", "b", "c", "d"]) void enter(name, [name]);
    await settle();
    expect(entered).toEqual(["a", "b"]);
    await leave("a");
    expect(entered).toEqual(["a", "b", "c"]);
    await leave("b");
    expect(entered).toEqual(["a", "b", "c", "d"]);
  });

  it("admits so many for one address, and lets others pass a full one", async () => {
    const { entered, enter, leave } = observe(new FetchQueue(10, 2));
    for (const name of ["a1", "a2", "a3", "a4"]) void enter(name, ["a"]);
    void enter("b1", ["b"]);
    await settle();
    expect(entered).toEqual(["a1", "a2", "b1"]);
    await leave("a2");
    expect(entered).toEqual(["a1", "a2", "b1", "a3"]);
  });

  it("counts every address a fetch may connect to", async () => {
    const { entered, enter, leave } = observe(new FetchQueue(10, 1));
    void enter("both", ["a", "b"]);
    void enter("a", ["a"]);
    void enter("b", ["b"]);
    await settle();
    expect(entered).toEqual(["both"]);
    await leave("both");
    expect(entered).toEqual(["both", "a", "b"]);
  });

  it("does not let those with fewer addresses overtake one with more", async () => {
    const { entered, enter, leave } = observe(new FetchQueue(10, 1));
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
    const { entered, enter, leave } = observe(new FetchQueue(1, 1));
    for (const name of ["a1", "a2", "a3"]) void enter(name, ["a"]);
    void enter("b1", ["b"]);
    await settle();
    await leave("a1");
    await leave("a2");
    await leave("b1");
    expect(entered).toEqual(["a1", "a2", "b1", "a3"]);
  });

  it("counts no address for fetches that know none", async () => {
    const { entered, enter } = observe(new FetchQueue(3, 1));
    for (const name of ["a", "b", "c", "d"]) void enter(name, []);
    await settle();
    expect(entered).toEqual(["a", "b", "c"]);
  });

  it("refuses who would wait behind too many, until there is room", async () => {
    const { entered, enter, leave } = observe(new FetchQueue(1, 1, 2));
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
    const { entered, enter } = observe(new FetchQueue(10, 1));
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
