/** A DANE source that says what the test says. */
import {
  NO_DANE,
  type DaneMemory,
  type DaneSource,
  type KnownDane,
} from "../../src/lookup/dane/dane-source.ts";
import type { DaneState } from "../../src/policy/verdict.ts";

/** Says `state` at once, always; memory holds it where it does not hold for ever. */
export function fixedDane(state: DaneState, until = Infinity): DaneMemory {
  const known = { state, until };
  return {
    ...NO_DANE,
    find: () => known,
    atHand: () => state,
    peek: () => (until === Infinity ? undefined : known),
  };
}

export interface ControlledDaneSource extends DaneSource {
  /** Resolves when it was asked for the first time. */
  readonly asked: Promise<void>;
  /** Answers all who asked, and all who will, at once. */
  answer(state: DaneState): void;
}

/** Says nothing until it is told to. */
export function startDaneSource(): ControlledDaneSource {
  const asked = Promise.withResolvers<void>();
  const told = Promise.withResolvers<KnownDane>();
  let known: KnownDane | undefined;
  return {
    ...NO_DANE,
    asked: asked.promise,
    find() {
      asked.resolve();
      return known ?? told.promise;
    },
    atHand: (domain) =>
      known?.state ?? { kind: "unknown", reason: `DANE state of ${domain} unknown: no answer in time` },
    answer(state) {
      known = { state, until: Infinity };
      told.resolve(known);
    },
  };
}
