/** How much memory V8 may take before it collects. */

/**
 * V8 would let the heap of old objects grow to several times what is in it before it collects. With half as much again there is
 * more to do, but each pause is shorter. The unit and the image bound the young objects, which only the command line can.
 */
export async function boundHeapGrowth(): Promise<void> {
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--heap-growing-percent=50");
}
