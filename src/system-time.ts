/** The clocks of this process. All else is told the time. */
// The global of the same name is a getter.
import { performance } from "node:perf_hooks";

/** Milliseconds since 1970. */
export const systemTime = (): number => Date.now();

/** Nanoseconds of CLOCK_MONOTONIC. */
export const systemMonotonic = (): bigint => process.hrtime.bigint();

/** Milliseconds that only ever pass. */
export const systemUptime = (): number => performance.now();
