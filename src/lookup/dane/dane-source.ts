import type { DaneFinding } from "../../net/dane/finding.ts";
import type { DaneState, KnownDaneKind } from "../../policy/verdict.ts";

/** The DANE state of a domain, and the time (milliseconds) until which it holds. */
export interface KnownDane {
  readonly state: DaneState;
  readonly until: number;
}

export interface DaneSource {
  /**
   * Answers at once when memory holds the state, else as a promise. Never throws, never rejects.
   *
   * @param acceptsLastKnown the caller can use what was last known while DNS does not answer, and rather does so than wait
   */
  find(domain: string, acceptsLastKnown: boolean): KnownDane | Promise<KnownDane>;
  /** What can be said of `domain` at once: "unknown", with what was last known, where memory does not hold it. Asks nothing. */
  atHand(domain: string): DaneState;
  /**
   * The state that is to go to disk together with a policy of `domain`, for a row that has none, where it is there without asking.
   *
   * @param isFirst the domain has no row yet, so nobody has to write the state for itself
   */
  withPolicy(domain: string, isFirst: boolean): KnownDaneKind | undefined;
  /**
   * Has `known`, as `find` gave it, on disk before an answer rests on it: a crash and dead DNS must not leave a policy without it.
   *
   * @returns undefined where nobody has to wait for that; rejects with StoreError
   */
  keep(domain: string, known: KnownDane): Promise<void> | undefined;
}

/** A source whose memory can be looked into. */
export interface DaneMemory extends DaneSource {
  /** What was last found out of `domain`, even if it is due again. Nothing is asked or changed. */
  peek(domain: string): KnownDane | undefined;
}

/** Where the answer does not depend on DANE. */
export const DANE_NOT_ASKED: KnownDane = { state: { kind: "none" }, until: Infinity };

/** DANE discovery switched off: nothing is asked, and no domain has DANE. */
export const NO_DANE: DaneSource = {
  find: () => DANE_NOT_ASKED,
  atHand: () => DANE_NOT_ASKED.state,
  withPolicy: () => undefined,
  keep: () => undefined,
};

/**
 * What the facts of a domain mean for the verdict. In an insecure MX set a failure is what whoever forged the set may have
 * wanted: there it must not lift a policy either.
 */
export function daneState({ summary, mx }: DaneFinding): DaneState {
  const isInsecure = !mx.secure && (mx.kind === "mx" || mx.kind === "implicit");
  if (summary.state === "unknown") {
    return { kind: "unknown", reason: summary.reason, ...(isInsecure && { lastKnown: "insecure-mx" }) };
  }
  return { kind: summary.state === "some" && isInsecure ? "insecure-mx" : summary.state };
}
