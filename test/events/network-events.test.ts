/** What is logged of DANE discoveries. */
import { describe, expect, it } from "vitest";
import { daneEvents, type FoundDane } from "../../src/events/network-events.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import type { DaneState } from "../../src/policy/verdict.ts";
import { startLog } from "../helpers/log-lines.ts";

const D = "d.example";
const all = asked({ kind: "all" });
const none = asked({ kind: "none" });
const reason = "MX of d.example: servfail";
const unknown = asked({ kind: "unknown", reason });
const msg = "DANE state found out";

function asked(state: DaneState): FoundDane {
  return { state, isUnasked: false };
}

describe("daneEvents", () => {
  it("logs a state that is another at info with the one before, and one that stays at debug", () => {
    const { log, lines } = startLog();
    const found = daneEvents(log, new Metrics());
    found(D, none, undefined);
    found(D, none, "none");
    found(D, all, "none");
    found("other.example", none, "none"); // known from before a restart
    expect(lines).toEqual([
      { level: "debug", domain: D, state: "none", msg },
      { level: "debug", domain: D, state: "none", previous: "none", msg },
      { level: "info", domain: D, state: "all", previous: "none", msg },
      { level: "debug", domain: "other.example", state: "none", previous: "none", msg },
    ]);
  });

  it("says so where DNS is not asked", () => {
    const { log, lines } = startLog();
    const found = daneEvents(log, new Metrics());
    found(D, { ...none, isUnasked: true }, "all");
    expect(lines).toEqual([
      { level: "info", domain: D, state: "none", previous: "all", msg: "DANE is not looked for" },
    ]);
  });

  it("logs a failure with its reason when it begins, and when it ends in what was known before", () => {
    const { log, lines } = startLog();
    const found = daneEvents(log, new Metrics());
    for (const state of [all, unknown, unknown, all]) found(D, state, "all");
    const failure = { domain: D, state: "unknown", reason, last_known: "all" };
    expect(lines).toEqual([
      { level: "debug", domain: D, state: "all", previous: "all", msg },
      { level: "info", ...failure, previous: "all", msg },
      { level: "debug", ...failure, previous: "unknown", msg },
      { level: "info", domain: D, state: "all", previous: "unknown", msg },
    ]);
  });
});
