import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { RetryingStore, type RetryingStoreOptions } from "../../src/store/retrying-store.ts";
import { StoreError, type PolicyStore } from "../../src/store/store.ts";
import { describeStore } from "./contract.ts";
import { DAY, entry, failure, HOUR, pin, T0 } from "./entries.ts";
import { failing } from "./failing-store.ts";

describeStore("RetryingStore", () => new RetryingStore(new MemoryStore()));

const ALWAYS = Infinity;

/** A store whose disk is full from the beginning, until `mend`. */
function full(options: RetryingStoreOptions = {}) {
  const disk: PolicyStore = new MemoryStore();
  const { store: inner, fail } = failing(disk);
  fail("put", "full", 1, ALWAYS);
  return {
    disk,
    store: new RetryingStore(inner, options),
    fail,
    mend: () => fail("put", "full", 1, 0),
  };
}

const isFull = expect.objectContaining({ name: "StoreError", code: "full" });

describe("what could not be written", () => {
  it("is not written behind what was put later", async () => {
    const { disk, store, mend } = full({ retryDelay: 1 });
    const older = entry("a", { failure: failure({ count: 2 }) });
    const newer = entry("a", { failure: failure({ count: 3, failedAt: T0 + HOUR }) });
    await expect(store.put(older)).rejects.toEqual(isFull);
    mend();
    await store.put(newer);
    await expect.poll(() => store.waitingWrites()).toBe(0);
    expect(disk.get("a")).toEqual(newer);
  });

  it("is rejected, seen by get, and written by itself once there is room", async () => {
    const { disk, store, mend } = full({ retryDelay: 1 });
    await expect(store.put(entry("a"))).rejects.toEqual(isFull);
    await expect(store.put(entry("b"))).rejects.toEqual(isFull);
    expect(store.get("a")).toEqual(entry("a"));
    expect(disk.get("a")).toBeUndefined();
    mend();
    await expect.poll(() => [disk.get("a"), disk.get("b")]).toEqual([entry("a"), entry("b")]);
    await store.close();
  });

  it.each(["busy", "io", "read-only", "corrupt"] as const)("because of %s is kept too", async (code) => {
    const { store, fail } = full();
    fail("put", code);
    await expect(store.put(entry("a"))).rejects.toMatchObject({ code });
    expect(store.get("a")).toEqual(entry("a"));
  });

  it("because the entry is at fault is not kept", async () => {
    const { store, fail } = full();
    fail("put", "invalid");
    await expect(store.put(entry("a"))).rejects.toMatchObject({ code: "invalid" });
    expect(store.get("a")).toBeUndefined();
  });

  it("never hides what the row holds", async () => {
    const { disk, store } = full();
    const newer = pin({ recordId: "next", fetchedAt: T0 + HOUR });
    await disk.put(entry("a", { pin: newer }));
    const check = { failure: failure(), checkedAt: T0 + DAY };
    await expect(store.put(entry("a", { pin: undefined, ...check }))).rejects.toEqual(isFull);
    expect(store.get("a")).toEqual(entry("a", { pin: newer, ...check }));
  });

  it("is no older than what was put before it", async () => {
    const { store } = full();
    const newer = pin({ recordId: "next", fetchedAt: T0 + HOUR });
    await expect(store.put(entry("a", { pin: newer }))).rejects.toEqual(isFull);
    await expect(store.put(entry("a", { checkedAt: T0 + DAY }))).rejects.toEqual(isFull);
    expect(store.get("a")).toEqual(entry("a", { pin: newer, checkedAt: T0 + DAY }));
  });

  it("is written by close", async () => {
    const { disk, store, mend } = full();
    const domains = Array.from({ length: 250 }, (_, n) => `d${n}`);
    await Promise.allSettled(domains.map((domain) => store.put(entry(domain))));
    mend();
    const { entries } = await beforeClosing(disk, store);
    expect(entries).toHaveLength(250);
  });

  it("does not keep close from closing", async () => {
    const { store } = full();
    await expect(store.put(entry("a"))).rejects.toEqual(isFull);
    await store.close();
    expect(() => store.get("a")).toThrow(expect.objectContaining({ code: "closed" }));
  });

  it("is the newest of more domains than are kept", async () => {
    const { store } = full({ mostKept: 2 });
    for (const domain of ["a", "b", "a", "c"]) await expect(store.put(entry(domain))).rejects.toEqual(isFull);
    expect(["a", "b", "c"].filter((domain) => store.get(domain) !== undefined)).toEqual(["a", "c"]);
  });

  it("is forgotten by delete, and not written behind it", async () => {
    const { disk, store, mend } = full();
    await expect(store.put(entry("a"))).rejects.toEqual(isFull);
    const late = store.put(entry("b"));
    await Promise.allSettled([store.delete("a"), store.delete("b"), late]);
    expect([store.get("a"), store.get("b")]).toEqual([undefined, undefined]);
    mend();
    expect((await beforeClosing(disk, store)).entries).toEqual([]);
  });

  it("is written with the DANE state noted before it was known that it could not be", async () => {
    const { disk, store, mend } = full({ retryDelay: 1 });
    const put = store.put(entry("a"));
    const noted = store.noteDane("a", "none");
    await expect(put).rejects.toEqual(isFull);
    await noted;
    mend();
    await expect.poll(() => disk.lastDane("a")).toBe("none");
  });

  it("is closed with the DANE state that waits for a put under way", async () => {
    const disk = new MemoryStore();
    const gate = Promise.withResolvers<void>();
    const write = disk.put.bind(disk);
    disk.put = async (row) => {
      await gate.promise;
      await write(row);
    };
    const store = new RetryingStore(disk);
    const work = [store.put(entry("a")), store.noteDane("a", "none")];
    const closed = beforeClosing(disk, store);
    gate.resolve();
    await Promise.all(work);
    expect((await closed).dane).toBe("none");
  });

  it("is no news of a DANE state that is on disk", async () => {
    const { disk, store } = full();
    await disk.put(entry("a"), "all");
    await expect(store.put(entry("a", { checkedAt: T0 + DAY }), "none")).rejects.toEqual(isFull);
    expect(store.lastDane("a")).toBe("all");
  });

  it("is written with the DANE state noted meanwhile, the last of them", async () => {
    const { disk, store, mend } = full();
    await disk.put(entry("a"), "none");
    await expect(store.put(entry("a"))).rejects.toEqual(isFull);
    await store.noteDane("a", "none");
    await store.noteDane("a", "all");
    await expect(store.put(entry("a", { checkedAt: T0 + DAY }), "none")).rejects.toEqual(isFull);
    await store.rebase(T0 + DAY);
    expect(store.lastDane("a")).toBe("all");
    mend();
    expect((await beforeClosing(disk, store)).dane).toBe("all");
  });

  it("is dropped where another process deleted the row, and only there", async () => {
    const { disk, store, mend } = full();
    for (const domain of ["deleted", "changed"]) {
      await disk.put(entry(domain));
      await expect(store.put(entry(domain, { checkedAt: T0 + DAY }))).rejects.toEqual(isFull);
    }
    await disk.delete("deleted");
    disk.changedElsewhere = () => ["deleted", "changed"];
    expect(store.changedElsewhere()).toEqual(["deleted", "changed"]);
    expect(store.get("deleted")).toBeUndefined();
    mend();
    const { entries } = await beforeClosing(disk, store);
    expect(entries).toEqual([entry("changed", { checkedAt: T0 + DAY })]);
  });

  it("is moved back with a clock that was ahead", async () => {
    const { store } = full();
    await expect(store.put(entry("a"))).rejects.toEqual(isFull);
    await store.rebase(T0 - DAY);
    expect(store.get("a")?.pin).toEqual(pin({ fetchedAt: T0 - DAY }));
  });
});

/** Closes `store`, and tells what its disk held, and of the domain `a` the DANE state, just before it was closed itself. */
async function beforeClosing(disk: PolicyStore, store: PolicyStore) {
  const close = disk.close.bind(disk);
  const held = () => ({ entries: disk.list({}, "", 1000).entries, dane: disk.lastDane("a") });
  let last = held();
  disk.close = () => {
    last = held();
    return close();
  };
  await store.close();
  return last;
}

it("a put waits for a rebase that failed, lest a row from ahead of the clock passes for the newer one", async () => {
  const disk: PolicyStore = new MemoryStore();
  let isFailing = true;
  const inner = Object.assign(disk, {
    rebase: async (now: number) => {
      if (isFailing) throw new StoreError("full", "the disk is full");
      return MemoryStore.prototype.rebase.call(disk, now);
    },
  });
  const ahead = { pin: pin({ recordId: "old", fetchedAt: T0 + DAY }), checkedAt: T0 + DAY, usedAt: T0 + DAY };
  await disk.put(entry("a", ahead));
  const store = new RetryingStore(inner, { retryDelay: 1 });
  await expect(store.rebase(T0)).rejects.toEqual(isFull);
  const newer = entry("a", { pin: pin({ recordId: "new", fetchedAt: T0 + HOUR }), checkedAt: T0 + HOUR });
  await expect(store.put(newer)).rejects.toEqual(isFull);
  isFailing = false;
  await expect.poll(() => disk.get("a")?.pin?.recordId).toBe("new");
  await store.close();
});
