import { expect, it } from "vitest";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { describeStore } from "./contract.ts";
import { entry, T0 } from "./entries.ts";
import { failing } from "./failing-store.ts";

describeStore("MemoryStore", () => new MemoryStore());
describeStore("the failing store, while it does not fail", () => failing(new MemoryStore()).store);

it("MemoryStore moves usedAt forward by a touch, never back", async () => {
  const store = new MemoryStore();
  await store.put(entry("a"));
  store.touch("a", T0 + 1);
  store.touch("a", T0);
  expect(store.get("a")?.usedAt).toBe(T0 + 1);
});

it("the failing store fails the call it was told to, and no other", async () => {
  const { store, fail } = failing(new MemoryStore());
  fail("put", "full", 2);
  await store.put(entry("a"));
  await expect(store.put(entry("b"))).rejects.toMatchObject({ code: "full" });
  await store.put(entry("c"));
  expect(store.list({}, "", 10).entries.map(({ domain }) => domain)).toEqual(["a", "c"]);
});
