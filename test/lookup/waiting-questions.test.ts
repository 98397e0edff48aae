import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WaitingQuestions } from "../../src/lookup/waiting-questions.ts";

/** Questions whose end is written down. */
class Watched {
  readonly waiting: WaitingQuestions;
  readonly turnedAway: string[] = [];
  readonly #leaves = new Map<string, () => void>();

  constructor(most: number) {
    this.waiting = new WaitingQuestions(most);
  }

  /** By clients whose names are the first letter: `a1`, `a2`, `b1`. */
  enter(...names: readonly string[]): void {
    for (const name of names)
      this.#leaves.set(
        name,
        this.waiting.enter(name[0], () => this.turnedAway.push(name)),
      );
  }

  leave(...names: readonly string[]): void {
    for (const name of names) this.#leaves.get(name)?.();
  }
}

describe("of one question too many", () => {
  it("the newest in the longest line goes, whoever asked last", () => {
    const watched = new Watched(4);
    watched.enter("b1", "a1", "a2", "a3", "c1", "d1");
    expect(watched.turnedAway).toEqual(["a3", "a2"]);
    expect(watched.waiting.count).toBe(4);
  });

  it("that of whoever asks goes where no line is longer", () => {
    const watched = new Watched(3);
    watched.enter("a1", "b1", "c1", "d1");
    expect(watched.turnedAway).toEqual(["d1"]);
    watched.leave("a1");
    watched.enter("d2", "c2");
    expect(watched.turnedAway).toEqual(["d1", "c2"]);
  });

  it("a client with a single one keeps it, however many another asks", () => {
    const watched = new Watched(100);
    watched.enter("b1", ...Array.from({ length: 1_000 }, (_, index) => `a${index}`), "c1", "d1");
    expect(watched.turnedAway).not.toContain("b1");
    expect(watched.turnedAway).not.toContain("c1");
    expect(watched.turnedAway).not.toContain("d1");
    expect(watched.turnedAway).toHaveLength(903);
  });
});

it("there is room again for as many as have left, each once", () => {
  const watched = new Watched(3);
  watched.enter("a1", "a2", "b1");
  watched.leave("a1", "a1", "b1");
  expect(watched.waiting.count).toBe(1);
  watched.enter("a3", "b2", "b3");
  expect(watched.turnedAway).toEqual(["b3"]);
  watched.leave("b3");
  expect(watched.waiting.count, "it has left when it is turned away").toBe(3);
});

it("a question may leave, and others come, while one is turned away", () => {
  const waiting = new WaitingQuestions(1);
  const seen: string[] = [];
  const leave = waiting.enter("a", () => seen.push("a"));
  waiting.enter("b", () => {
    leave();
    seen.push("b");
    waiting.enter("c", () => seen.push("c"));
  });
  expect([seen, waiting.count]).toEqual([["b"], 1]);
});

interface Held {
  readonly client: number;
  leave: () => void;
  isTurnedAway?: true;
}

it("turns away the newest of a longest line, and only of one too many, whatever comes and goes in whatever order", () => {
  const step = fc.record({
    isEntering: fc.boolean(),
    client: fc.integer({ min: 0, max: 4 }),
    which: fc.nat(),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), (most, steps) => {
      const waiting = new WaitingQuestions(most);
      // In the order in which they came.
      let held: Held[] = [];
      for (const { isEntering, client, which } of steps) {
        if (isEntering) {
          const question: Held = { client, leave: () => {} };
          held.push(question);
          question.leave = waiting.enter(client, () => (question.isTurnedAway = true));
        } else {
          const [left] = held.splice(which % Math.max(held.length, 1), 1);
          left?.leave();
        }
        const of = (other: number) => held.filter((question) => question.client === other);
        const longest = Math.max(...held.map((question) => of(question.client).length));
        const losers = held.filter(({ isTurnedAway }) => isTurnedAway);
        expect(losers).toHaveLength(Math.max(0, held.length - most));
        for (const loser of losers) {
          expect(of(loser.client)).toHaveLength(longest);
          expect(of(loser.client).at(-1)).toBe(loser);
        }
        held = held.filter(({ isTurnedAway }) => isTurnedAway === undefined);
        expect(waiting.count).toBe(held.length);
      }
    }),
  );
});
