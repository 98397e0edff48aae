/** A short run of each target: from a seed that stays, over all that longer runs found worth keeping, and from a new one. */
import { randomInt } from "node:crypto";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../helpers/seeded-random.ts";
import { readCorpus } from "./corpus.ts";
import { fuzz } from "./fuzzer.ts";
import { findGrowth } from "./growth.ts";
import { rule, type FuzzTarget } from "./target.ts";
import { TARGETS } from "./targets/all.ts";

const NEW_SEED = randomInt(2 ** 31);
/** Milliseconds for each target and seed: slow ones get fewer inputs. */
const DURATION = 150;

describe(`fuzzing, seeds 1 and ${NEW_SEED}`, () => {
  it.each(TARGETS)("breaks no rule of $name", (target) => {
    const corpus = readCorpus(target);
    for (const seed of [1, NEW_SEED]) {
      const inputs = corpus.length + 5_000;
      const { broken } = fuzz(target, { random: new SeededRandom(seed), corpus, inputs, duration: DURATION });
      expect(broken, `seed ${seed}`).toBeUndefined();
    }
  });

  // The configuration is the administrator's own word, and read once.
  it.each(TARGETS.filter(({ name }) => name !== "configuration"))(
    "finds nothing in $name that takes time out of proportion",
    (target) => {
      const growth = findGrowth(target, readCorpus(target), 2, new SeededRandom(NEW_SEED));
      expect(growth, `seed ${NEW_SEED}`).toBeUndefined();
    },
  );
});

const PLANTED: FuzzTarget = {
  name: "planted",
  maxLength: 100,
  dictionary: ["id="],
  seeds: ["v=STSv1; a=b"],
  check(input) {
    rule(!/;[^]*id=/.test(input.toString("latin1")), "planted");
  },
};

const SLOW: FuzzTarget = {
  ...PLANTED,
  seeds: ["aaaaaaaa"],
  check: (input) => void /a+b/.test(input.toString("latin1", 0, input.length / 2)),
};

function inputsOf(seed: number): string[] {
  const seen: string[] = [];
  const check = (input: Buffer): void => void seen.push(input.toString("latin1"));
  fuzz({ ...PLANTED, check }, { random: new SeededRandom(seed), corpus: [], inputs: 100 });
  return seen;
}

describe("the fuzzer", () => {
  it("finds a planted fault, and shortens the input to what it takes", () => {
    const { broken } = fuzz(PLANTED, { random: new SeededRandom(1), corpus: [], inputs: 10_000 });
    expect(broken?.input.toString("latin1")).toBe(";id=");
  });

  it("finds time that grows with the square of the length", () => {
    expect(findGrowth(SLOW, [], 20, new SeededRandom(1))).toBeDefined();
  });

  it("gives the same inputs for the same seed", () => {
    expect(inputsOf(7)).toEqual(inputsOf(7));
    expect(inputsOf(7)).not.toEqual(inputsOf(8));
  });
});
