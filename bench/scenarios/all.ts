import type { Scenario } from "../scenario.ts";
import { coldLookups } from "./cold.ts";
import { distinctDomains } from "./distinct.ts";
import { interference } from "./interference.ts";
import { memory } from "./memory.ts";
import { mixedLookups } from "./mixed.ts";
import { overload } from "./overload.ts";
import { saturation } from "./saturation.ts";
import { warmLookups } from "./warm.ts";

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  warmLookups,
  distinctDomains,
  mixedLookups,
  coldLookups,
  memory,
  interference,
  overload,
  saturation,
];
