import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TurnGivenUp, Turns } from "../../src/lookup/turns.ts";
import type { Turn } from "../../src/lookup/turns.ts";

/** Turns whose order of beginning is written down. */
class Watched {
  readonly turns: Turns;
  readonly begun: string[] = [];
  readonly #all = new Map<string, Turn>();

  constructor(size: number) {
    this.turns = new Turns(size);
  }

  /** By clients whose names are the first letter: `a1`, `a2`, `b1`. */
  take(...names: readonly string[]): void {
    for (const name of names) {
      const turn = this.turns.take(name[0]);
      this.#all.set(name, turn);
      void turn.begun.then(
        () => this.begun.push(name),
        () => this.begun.push(`not ${name}`),
      );
    }
  }

  get(name: string): Turn {
    const turn = this.#all.get(name);
    if (turn === undefined) throw new TypeError(name);
    return turn;
  }

  /** Ends one turn after the other until nothing runs. */
  async workOff(): Promise<readonly string[]> {
    for (let ended = 0; this.turns.running > 0; ended++) {
      await nextTurn();
      this.get(this.begun.filter((name) => !name.startsWith("not "))[ended] ?? "").end();
    }
    await nextTurn();
    return this.begun;
  }
}

describe("turns", () => {
  it("begin at once while there is room", async () => {
    const watched = new Watched(2);
    watched.take("a1", "a2", "a3");
    await nextTurn();
    expect(watched.begun).toEqual(["a1", "a2"]);
    expect([watched.turns.running, watched.turns.waiting]).toEqual([2, 1]);
  });

  it("go from client to client, and in the order asked within one", async () => {
    const watched = new Watched(1);
    watched.take("a1", "a2", "a3", "a4", "b1", "c1", "c2");
    expect(await watched.workOff()).toEqual(["a1", "a2", "b1", "c1", "a3", "c2", "a4"]);
    expect([watched.turns.running, watched.turns.waiting]).toEqual([0, 0]);
  });

  it("delay a client's only one by a turn for each other client, however many those have", async () => {
    const watched = new Watched(1);
    watched.take(...Array.from({ length: 5_000 }, (_, index) => `a${index}`), "b1");
    const begun = await watched.workOff();
    expect(begun.indexOf("b1")).toBe(2);
    expect(begun).toHaveLength(5_001);
  });

  it("come by the line of whoever is served first, once", async () => {
    const watched = new Watched(1);
    watched.take("a1", "a2", "a3", "a4");
    watched.get("a4").join("b");
    expect(await watched.workOff()).toEqual(["a1", "a2", "a4", "a3"]);
  });

  it("are given up when all who asked have left, and not before", async () => {
    const watched = new Watched(1);
    watched.take("a1", "a2", "a3");
    watched.get("a2").join("b");
    watched.get("a2").leave();
    watched.get("a3").leave();
    expect(watched.turns.waiting).toBe(1);
    expect(await watched.workOff()).toEqual(["a1", "not a3", "a2"]);
    await expect(watched.get("a3").begun).rejects.toBeInstanceOf(TurnGivenUp);
  });

  it("are not given up once they have begun, and their room is free when they end", async () => {
    const watched = new Watched(1);
    watched.take("a1", "a2");
    watched.get("a1").leave();
    expect(await watched.workOff()).toEqual(["a1", "a2"]);
  });

  it("that wait are given up all at once; what runs goes on, and later ones begin", async () => {
    const watched = new Watched(1);
    watched.take("a1", "a2", "b1");
    watched.turns.giveUpAll();
    watched.take("a3");
    expect(await watched.workOff()).toEqual(["a1", "not a2", "not b1", "a3"]);
  });

  it("never exceed their number, lose or repeat one, whatever happens in whatever order", async () => {
    const step = fc.record({
      what: fc.constantFrom("take", "take", "join", "leave", "end"),
      client: fc.integer({ min: 0, max: 4 }),
      which: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { maxLength: 60 }),
        async (size, steps) => {
          const turns = new Turns(size);
          const all: { turn: Turn; state: "waiting" | "begun" | "given up" | "ended" }[] = [];
          for (const { what, client, which } of steps) {
            const known = all[which % Math.max(all.length, 1)];
            if (what === "take") {
              const entry: (typeof all)[number] = { turn: turns.take(client), state: "waiting" };
              void entry.turn.begun.then(
                () => (entry.state = "begun"),
                () => (entry.state = "given up"),
              );
              all.push(entry);
            }
            if (what === "join" && known?.state !== "given up") known?.turn.join(client);
            if (what === "leave" && known?.state === "waiting") known.turn.leave();
            if (what === "end" && known?.state === "begun") {
              known.state = "ended";
              known.turn.end();
            }
            await Promise.resolve();
            await Promise.resolve();
            const count = (state: string) => all.filter((entry) => entry.state === state).length;
            expect([turns.running, turns.waiting]).toEqual([count("begun"), count("waiting")]);
            expect(turns.running).toBe(Math.min(size, count("begun") + count("waiting")));
          }
        },
      ),
    );
  });
});
