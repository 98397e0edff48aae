/** DNS is gone for long: what was last known of DANE stands in, and nobody is kept waiting for it again. */
import { expect, it } from "vitest";
import { DaneCache } from "../../../src/lookup/dane/dane-cache.ts";
import type { DaneState } from "../../../src/policy/verdict.ts";
import { Clock, HOUR, MINUTE } from "../../helpers/clock.ts";

const D = "d.example";

it("waits for DNS once, and not again before it has answered", async () => {
  const clock = new Clock();
  let found: DaneState = { kind: "none" };
  const cache = new DaneCache({
    recall: () => undefined,
    remember: async () => {},
    discover: async () => ({ state: found, ttl: 300 }),
    discoverUnasked: () => undefined,
    onFound: () => {},
    now: clock.now,
    options: { memoryEntries: 10, holdMin: MINUTE, holdMax: HOUR, patience: MINUTE },
  });
  const standIn = { kind: "unknown", lastKnown: "none" };
  await cache.find(D, true);

  found = { kind: "unknown", reason: "time-out" };
  clock.advance(HOUR);
  expect((await cache.find(D, true)).state, "the first waits for what DNS says").toMatchObject(standIn);
  for (let hour = 0; hour < 3; hour++) {
    clock.advance(HOUR);
    expect(cache.find(D, true), "at once").toMatchObject({ state: standIn });
    await cache.find(D, false);
  }

  found = { kind: "all" };
  clock.advance(HOUR);
  expect(cache.find(D, true)).toMatchObject({ state: standIn });
  await cache.find(D, false);
  expect(cache.find(D, true), "DNS is back").toMatchObject({ state: found });
});
