import { once } from "node:events";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "../../src/store/open-store.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { WriterThread } from "../../src/store/writer-thread.ts";
import { DAY, entry, HOUR, T0, temporaryFolder } from "./entries.ts";

/** The next thread that this process starts. */
async function nextWorker(): Promise<Worker> {
  const [worker]: Worker[] = await once(process, "worker");
  if (worker === undefined) throw new Error("no thread");
  return worker;
}

describe("the store's writer thread", () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let store: PolicyStore;
  beforeEach(() => {
    folder = temporaryFolder();
    store = openStore({ path: join(folder.path, "cache.sqlite"), now: () => T0, examine: false });
  });
  afterEach(async () => {
    await store.close();
    folder.remove();
  });

  it("tells touches that moved a row from those that wrote nothing", async () => {
    await store.put(entry("a"));
    const path = join(folder.path, "cache.sqlite");
    const thread = new WriterThread({ path, busyTimeout: 1_000, touchStep: HOUR });
    const touch = (domain: string, usedAt: number) =>
      thread.request("write", { writes: [], touches: [[domain, usedAt]] });
    expect(await touch("a", T0)).toMatchObject({ hasWritten: false });
    expect(await touch("none", T0 + DAY)).toMatchObject({ hasWritten: false });
    expect(await touch("a", T0 + DAY)).toMatchObject({ hasWritten: true });
    await thread.close();
  });

  it.each([
    ["is terminated", (worker: Worker) => void worker.terminate()],
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    ["dies of an error of its own", (worker: Worker) => worker.postMessage(null)],
  ])("%s: what waits is rejected, later puts are done by a new one", async (_, end) => {
    const started = nextWorker();
    const put = store.put(entry("a"));
    const worker = await started;
    const exited = once(worker, "exit");
    end(worker);
    // Whether the row was written in time is not known; this comes too late.
    const [, late] = await Promise.allSettled([put, store.counts(T0), exited]);
    expect(late).toMatchObject({ status: "rejected", reason: { name: "StoreError", code: "io" } });

    const restarted = nextWorker();
    await store.put(entry("b"));
    expect(await restarted).not.toBe(worker);
    expect(store.get("b")).toEqual(entry("b"));
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("is terminated at a put: the put is rejected, said by health, and done by the next try", async () => {
    const started = nextWorker();
    const [put] = await Promise.allSettled([
      store.put(entry("a")),
      // Before it has begun to run.
      started.then((worker) => worker.terminate()),
    ]);
    expect(put).toMatchObject({ status: "rejected", reason: { name: "StoreError", code: "io" } });
    expect(store.health()).toMatchObject({ writable: false, lastError: { code: "io" } });
    await store.put(entry("a"));
    expect(store.get("a")).toEqual(entry("a"));
    expect(store.health()).toEqual({ writable: true, readable: true });
  });

  it("dies while nothing waits: nobody notices", async () => {
    const started = nextWorker();
    await store.put(entry("a"));
    await (await started).terminate();
    await store.put(entry("b"));
    expect([store.get("a"), store.get("b")]).toEqual([entry("a"), entry("b")]);
  });

  it("dies before the end: close succeeds all the same", async () => {
    const started = nextWorker();
    await store.put(entry("a"));
    const dead = (await started).terminate();
    await expect(store.close()).resolves.toBeUndefined();
    await dead;
  });
});
