import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { LoopTurns } from "../../../src/net/dns/loop-turns.ts";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

/** Who passes, in order: at once, and then by turns of the event loop. */
async function passing(turns: LoopTurns, count: number): Promise<number[][]> {
  const passed: number[] = [];
  for (const n of range(0, count)) void turns.pass().then(() => passed.push(n));
  // Comes after all promises, and before the next turn.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const byTurn = [passed.splice(0)];
  while (byTurn.flat().length < count) {
    // Asked for after the turn, so it comes after what that lets through.
    await setImmediate();
    byTurn.push(passed.splice(0));
  }
  return byTurn;
}

it("lets eight through in a turn, in order, and the first of them at once", async () => {
  const turns = new LoopTurns();
  expect(await passing(turns, 20)).toEqual([range(0, 8), range(8, 16), range(16, 20)]);
});

it("goes on after a pause", async () => {
  const turns = new LoopTurns();
  for (let round = 0; round < 3; round++) {
    expect(await passing(turns, 3)).toEqual([[0, 1, 2]]);
    for (let n = 0; n < 3; n++) await setImmediate();
  }
});

it("lets nobody past those who wait", async () => {
  const turns = new LoopTurns();
  const passed: string[] = [];
  const pass = (name: string) => void turns.pass().then(() => passed.push(name));
  for (let n = 0; n < 20; n++) pass("early");
  await setImmediate();
  expect(passed).toHaveLength(16);
  for (let n = 0; n < 10; n++) pass("late");
  while (passed.length < 30) await setImmediate();
  expect(passed).toEqual([
    ...Array.from({ length: 20 }, () => "early"),
    ...Array.from({ length: 10 }, () => "late"),
  ]);
});

it("lets an eighth of those through who wait, where that is more", async () => {
  const turns = new LoopTurns();
  const sizes = (await passing(turns, 168)).map((turn) => turn.length);
  expect(sizes.slice(0, 4)).toEqual([8, 20, 17, 15]);
  expect(sizes.slice(-2).every((size) => size <= 8)).toBe(true);
});
