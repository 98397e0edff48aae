import { describe, expect, it } from "vitest";
import { CHECKOUT } from "../faults/soak/daemon.ts";
import { ATTACKS } from "./attacks.ts";
import { faultsOf } from "./judge.ts";
import { measure } from "./measure.ts";

/** Each attack in small: run.ts has it in full, and the figures. */
const SMALL = { main: CHECKOUT, scale: 0.05, hurry: 0.05 };

describe("the daemon answers a well-behaved client rightly, holds no more memory than it may, and no descriptor, under", () => {
  it.each(ATTACKS)("$name: $input", { timeout: 120_000 }, async (attack) => {
    expect(faultsOf(await measure(attack, SMALL))).toEqual([]);
  });
});
