/** How much memory V8 may take before it collects. */

/**
 * V8 would let the heap of old objects grow to several times what is in it before it collects. With half as much again there is
 * more to do, but each pause is shorter. The unit and the image bound the young objects, which only the command line can.
 */
export async function boundHeapGrowth(): Promise<void> {
  // Not imported above: to load node:v8 takes 2 ms, for which the first answers need not wait.
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--heap-growing-percent=50");
}
