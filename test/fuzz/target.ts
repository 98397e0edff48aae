/** What is fuzzed: a piece of code that reads what strangers wrote, and what must hold whatever they write. */
export interface FuzzTarget {
  readonly name: string;
  /** Octets of the longest input that is made. */
  readonly maxLength: number;
  /** Words that mean something to the code: chance alone would seldom write them. */
  readonly dictionary: readonly string[];
  /** Inputs to begin with, beside those of the corpus. Latin1. */
  readonly seeds: readonly string[];
  /** Throws where a rule is broken. */
  readonly check: (input: Buffer) => void;
}

/** A rule was broken. */
class Finding extends Error {
  override readonly name = "Finding";
}

/** Throws a {@link Finding} unless `holds`. */
export function rule(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Finding(what);
}

/** What `work` gives, or the error it throws, which must be a `kind` of error; any other goes on up. */
export function attempt<T, E extends Error>(
  work: () => T,
  // oxlint-disable-next-line typescript/no-explicit-any -- constructors take what they like
  kind: new (...args: any[]) => E,
): { readonly value: T; readonly error?: undefined } | { readonly value?: undefined; readonly error: E } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof kind) return { error };
    throw error;
  }
}
