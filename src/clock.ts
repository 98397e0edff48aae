/** Notices when the system's clock is stepped, by its administrator, by NTP, or by sleep. */

interface ClockWatchDeps {
  /** Milliseconds since 1970, as the system has it. */
  readonly wall: () => number;
  /** Milliseconds that only ever pass, from any start. */
  readonly steady: () => number;
  /** Called with the milliseconds by which the clock was put forward, or back where negative. */
  readonly onStep: (milliseconds: number) => void;
  /** Milliseconds between two looks. */
  readonly interval: number;
  /** A smaller step is ignored. NTP keeps a clock right by less. */
  readonly tolerance: number;
}

/** Looks from time to time whether both clocks have gone the same way. Call what it returns to end that. */
export function watchClock({ wall, steady, onStep, interval, tolerance }: ClockWatchDeps): () => void {
  let offset = wall() - steady();
  const timer = setInterval(() => {
    const before = offset;
    offset = wall() - steady();
    // Against the last look, not the first: what drifts apart slowly is no step.
    if (Math.abs(offset - before) > tolerance) onStep(offset - before);
  }, interval);
  timer.unref();
  return () => clearInterval(timer);
}
