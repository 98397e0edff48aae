import { afterEach, describe, expect, it } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { watchClock } from "../src/clock.ts";

const TOLERANCE = 60_000;

describe("watchClock", () => {
  let stop: (() => void) | undefined;
  afterEach(() => stop?.());

  /** Both clocks start anywhere and go as `tick` says, once at each look; answers with the steps after some looks. */
  async function stepsOf(tick: (look: number) => { wall: number; steady: number }): Promise<number[]> {
    const time = { wall: 1_795_298_645_000, steady: 123 };
    const steps: number[] = [];
    const enough = Promise.withResolvers<void>();
    let looks = 0;
    const wall = (): number => {
      const { wall: forth, steady } = tick(looks++);
      time.wall += forth;
      time.steady += steady;
      if (looks === 10) enough.resolve();
      return time.wall;
    };
    const onStep = (milliseconds: number) => void steps.push(milliseconds);
    stop = watchClock({ wall, steady: () => time.steady, onStep, interval: 1, tolerance: TOLERANCE });
    await enough.promise;
    stop();
    return steps;
  }

  it.each<[string, (look: number) => number, number[]]>([
    ["nothing while both go alike", () => 0, []],
    ["nothing while one is slewed", () => TOLERANCE - 1, []],
    ["a step forward", (look) => (look === 3 ? 86_400_000 : 0), [86_400_000]],
    ["a step back", (look) => (look === 3 ? -86_400_000 : 0), [-86_400_000]],
    ["there and back", (look) => [0, 90_000, 0, -90_000][look] ?? 0, [90_000, -90_000]],
  ])("notices %s", async (_, extra, steps) => {
    expect(await stepsOf((look) => ({ wall: 1000 + extra(look), steady: 1000 }))).toEqual(steps);
  });

  it("takes a process that was stopped for no step", async () => {
    expect(
      await stepsOf((look) => (look === 3 ? { wall: 9e7, steady: 9e7 } : { wall: 1, steady: 1 })),
    ).toEqual([]);
  });

  it("stops", async () => {
    let looks = 0;
    stop = watchClock({ wall: () => looks++, steady: () => 0, onStep: () => {}, interval: 1, tolerance: 1 });
    stop();
    const before = looks;
    await sleep(5);
    expect(looks).toBe(before);
  });
});
