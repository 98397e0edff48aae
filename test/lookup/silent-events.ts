import type { LookupEvents } from "../../src/lookup/events.ts";

/** Whoever does not care what is told. */
export const SILENT: LookupEvents = {
  resolved: () => {},
  deadlinePassed: () => {},
  turnedAway: () => {},
  heldBack: () => {},
  storeFailed: () => {},
  failed: () => {},
};
