/** How loud the log is about a resolution. */
import { describe, expect, it } from "vitest";
import { lookupEvents } from "../../src/events/lookup-events.ts";
import type { ResolutionOutcome, ResolutionTrigger } from "../../src/lookup/events.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import type { Pin } from "../../src/store/store.ts";
import { startLog } from "../helpers/log-lines.ts";
import { T0, entry, pin } from "../store/entries.ts";

const D = "d.example";
const current: ResolutionOutcome = { kind: "current", recordId: "1" };
const noRecord: ResolutionOutcome = { kind: "no-record", reason: "no TXT record", isInvalid: false };

describe("a resolution", () => {
  it.each<[ResolutionTrigger, ResolutionOutcome, Pin | undefined, string]>([
    ["query", noRecord, undefined, "info"],
    ["recheck", noRecord, undefined, "debug"], // as before
    ["recheck", noRecord, pin(), "info"], // a record that vanished under a policy that is held
    ["recheck", current, pin(), "debug"],
    ["command", current, pin(), "info"],
  ])("by %s that comes to %j", (trigger, outcome, held, level) => {
    const { log, lines } = startLog();
    const events = lookupEvents(log, new Metrics(), () => T0);
    events.resolved({
      domain: D,
      trigger,
      outcome,
      entry: entry(D, { pin: held }),
      pin: held,
      durationMs: 1,
    });
    expect(lines).toMatchObject([{ level, domain: D, result: outcome.kind, trigger, msg: "resolved" }]);
  });
});
