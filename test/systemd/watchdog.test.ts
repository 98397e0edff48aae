import { expect, it } from "vitest";
import { startWatchdog } from "../../src/systemd/watchdog.ts";

/** Milliseconds. */
const PATIENCE = 30;

/** What the watchdog does, by a test that gives `results` in turn, until there are no more of them. */
async function watch(results: readonly (string | undefined | Promise<undefined>)[]): Promise<string[]> {
  const seen: string[] = [];
  let tests = 0;
  const stop = await new Promise<() => void>((resolve) => {
    const running = startWatchdog({
      patience: PATIENCE,
      test: async (timeout) => {
        seen.push(`test ${timeout}`);
        if (tests === results.length - 1) resolve(running);
        return results[tests++];
      },
      onAlive: () => seen.push("alive"),
      onFailure: (reason) => seen.push(reason),
    });
  });
  stop();
  return seen;
}

it("gives a sign of life after each test that finds nothing wrong, and after no other", async () => {
  expect(await watch([undefined, "broken", undefined, undefined])).toEqual([
    "test 7.5",
    "alive",
    "test 7.5",
    "broken",
    "test 7.5",
    "alive",
    "test 7.5",
  ]);
});

it("tests three times within the patience of systemd", async () => {
  const started = performance.now();
  await watch([undefined, undefined, undefined]);
  expect(performance.now() - started).toBeGreaterThanOrEqual(PATIENCE - 1);
});

it("waits for a test that takes long instead of starting another", async () => {
  const long = Promise.withResolvers<undefined>();
  setTimeout(() => long.resolve(undefined), 5 * PATIENCE);
  expect(await watch([long.promise, undefined])).toEqual(["test 7.5", "alive", "test 7.5"]);
});
