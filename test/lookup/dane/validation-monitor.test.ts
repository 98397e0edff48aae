import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ValidationMonitor } from "../../../src/lookup/dane/validation-monitor.ts";
import type { Validation } from "../../../src/net/dns/ad-trust.ts";
import { DnsError } from "../../../src/net/dns/resolver.ts";
import { HOUR } from "../../helpers/clock.ts";

const validating: Validation = { state: "validating" };
const notValidating: Validation = { state: "not-validating" };
const unknown: Validation = { state: "unknown", error: new DnsError("timeout", "no answer") };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A monitor whose tests have these outcomes, the last of them for ever. */
function startMonitor(...outcomes: readonly [Validation, ...Validation[]]) {
  let tests = 0;
  const changes: string[] = [];
  const monitor = new ValidationMonitor({
    isTrusted: () => true,
    test: async () => {
      tests += 1;
      return outcomes[tests - 1] ?? outcomes.at(-1) ?? outcomes[0];
    },
    onChange: ({ state }) => void changes.push(state),
    interval: HOUR,
  });
  monitor.start();
  return { monitor, changes, tests: () => tests };
}

const anHour = () => vi.advanceTimersByTimeAsync(HOUR);

describe("ValidationMonitor", () => {
  it("tests at once, and again each time the interval has passed", async () => {
    const { monitor, tests } = startMonitor(validating);
    expect(tests()).toBe(1);
    expect(monitor.last).toBeUndefined();
    await vi.advanceTimersByTimeAsync(HOUR - 1);
    expect([tests(), monitor.last]).toEqual([1, validating]);
    await vi.advanceTimersByTimeAsync(1);
    expect(tests()).toBe(2);
    await anHour();
    expect(tests()).toBe(3);
    monitor.stop();
  });

  it("tells the first outcome, and then only what is new", async () => {
    const { monitor, changes } = startMonitor(
      notValidating,
      notValidating,
      validating,
      validating,
      unknown,
      unknown,
      validating,
    );
    for (let hour = 0; hour < 8; hour++) await anHour();
    expect(changes).toEqual(["not-validating", "validating", "unknown", "validating"]);
    monitor.stop();
  });

  it.each<[Validation, boolean, string]>([
    [validating, true, "its AD bit means something"],
    [notValidating, false, "its AD bit is never set"],
    [unknown, true, "discovery will find out by itself that DNS cannot be asked"],
  ])("after %j lets DANE be looked for: %s (%s)", async (outcome, mayValidate) => {
    const { monitor } = startMonitor(outcome);
    expect(monitor.mayValidate).toBe(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(monitor.mayValidate).toBe(mayValidate);
    monitor.stop();
  });

  it("says that validation is lost from when it ended until it is back, and never before it was there", async () => {
    const { monitor } = startMonitor(notValidating, validating, unknown, notValidating, validating);
    const lost = [];
    for (let hour = 0; hour < 5; hour++) {
      await vi.advanceTimersByTimeAsync(hour === 0 ? 0 : HOUR);
      lost.push(monitor.isLost);
    }
    expect(lost).toEqual([false, false, false, true, false]);
    monitor.stop();
  });

  it("tests nothing while the AD bit is not trusted, and begins when it is", async () => {
    let isTrusted = false;
    let tests = 0;
    const test = async () => {
      tests += 1;
      return notValidating;
    };
    const monitor = new ValidationMonitor({
      isTrusted: () => isTrusted,
      test,
      onChange: () => {},
      interval: HOUR,
    });
    monitor.start();
    await anHour();
    expect([tests, monitor.last]).toEqual([0, undefined]);
    isTrusted = true;
    await anHour();
    expect([tests, monitor.last]).toEqual([1, notValidating]);
    monitor.stop();
  });

  it("sees a resolver mended", async () => {
    const { monitor } = startMonitor(notValidating, validating);
    await vi.advanceTimersByTimeAsync(0);
    expect(monitor.mayValidate).toBe(false);
    await anHour();
    expect(monitor.mayValidate).toBe(true);
    monitor.stop();
  });

  it("tests no more after it was stopped, and may be stopped again", async () => {
    const { monitor, tests } = startMonitor(validating);
    monitor.stop();
    monitor.stop();
    await anHour();
    expect(tests()).toBe(1);
  });
});
