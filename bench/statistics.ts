/** Medians of rounds, and ratios of neighbours. */

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

/** `figure` of each round of `ours` by that of the round of `theirs` that ran next to it, so that both saw the same machine. */
export function ratios<T>(ours: readonly T[], theirs: readonly T[], figure: (round: T) => number): number[] {
  return ours.flatMap((round, n) => {
    const other = theirs[n];
    return other === undefined ? [] : [figure(round) / figure(other)];
  });
}
