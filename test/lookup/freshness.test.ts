import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULTS } from "../helpers/world.ts";
import { DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import {
  FetchError,
  type FetchedPolicy,
  type FetchFailureReason,
} from "../../src/net/policy-host/policy-fetcher.ts";
import {
  livePin,
  negativeLifetime,
  newPin,
  nextActionAt,
  nextFailure,
  putOff,
  recordLifetime,
  wantsFetch,
} from "../../src/lookup/freshness.ts";
import type { Entry, FetchFailure, Pin } from "../../src/store/store.ts";

const OPTIONS = DEFAULTS.freshness;
const NOW = Date.UTC(2026, 10, 21);
const ALMOST_ONE = 1 - 2 ** -32;

function fetched(maxAge: number): FetchedPolicy {
  const trace = { url: "https://mta-sts.d.example/.well-known/mta-sts.txt", durationMs: 1 };
  return { policy: { mode: "enforce", maxAge, mx: ["mx.d.example"] }, text: "as served", trace };
}

function pin(change: Partial<Pin> = {}): Pin {
  return { ...newPin("1", fetched(604_800), NOW, 0, OPTIONS), ...change };
}

function failure(recordId: string, retryAt: number): FetchFailure {
  return { recordId, reason: "status-404", detail: "", count: 1, failedAt: NOW, retryAt };
}

function entry(change: Partial<Entry> = {}): Entry {
  const checkAt = NOW + HOUR;
  return {
    domain: "d.example",
    pin: pin(),
    failure: undefined,
    checkedAt: NOW,
    checkAt,
    usedAt: NOW,
    ...change,
  };
}

function error(reason: FetchFailureReason): FetchError {
  return new FetchError("sts-policy-fetch-error", reason, `it was ${reason}`, { url: "", durationMs: 1 });
}

describe("recordLifetime", () => {
  it.each([
    [0, MINUTE], // never less than a minute
    [59, MINUTE],
    [61, 61 * SECOND],
    [86_400, DAY],
    [86_401, DAY], // never more than a day
    [2 ** 31 - 1, DAY],
  ])("of a TTL of %i s is %i ms", (ttl, lifetime) => {
    expect(recordLifetime(ttl, OPTIONS)).toBe(lifetime);
  });
});

describe("negativeLifetime", () => {
  it.each([
    [0, MINUTE], // an answer without SOA
    [60, MINUTE],
    [300, 5 * MINUTE],
    [3_600, HOUR],
    [86_400, HOUR], // never more than an hour
  ])("of a negative TTL of %i s is %i ms", (ttl, lifetime) => {
    expect(negativeLifetime(ttl, OPTIONS)).toBe(lifetime);
  });
});

describe("newPin", () => {
  it("keeps what was fetched, and ends max_age after the fetch", () => {
    expect(newPin("7", fetched(604_800), NOW, 0, OPTIONS)).toEqual({
      recordId: "7",
      text: "as served",
      mode: "enforce",
      mx: ["mx.d.example"],
      maxAge: 604_800,
      fetchedAt: NOW,
      expiresAt: NOW + 7 * DAY,
      renewAt: NOW + 3.5 * DAY,
    });
  });

  // [max_age in days, earliest renewal, latest renewal: in days after the fetch]
  it.each([
    [7, 3.5, 5.6], // 50 % to 80 %
    [365, 182.5, 292],
    [5, 2.5, 4], // 80 % is just a day before the end
    [4, 2, 3], // a day before the end comes before 80 %
    [2, 1, 1], // a day before the end is 50 %
    [1.9, 0.95, 1.52], // too short for a day's margin: 50 % to 80 % again
    [1, 0.5, 0.8],
    [1 / 24, 0.5 / 24, 0.8 / 24],
  ])("of %d days is renewed between day %d and day %d", (maxAge, earliest, latest) => {
    const renewedAfter = (random: number) =>
      newPin("1", fetched(maxAge * 86_400), NOW, random, OPTIONS).renewAt - NOW;
    expect(renewedAfter(0)).toBe(Math.round(earliest * DAY));
    expect(Math.abs(renewedAfter(ALMOST_ONE) - latest * DAY)).toBeLessThan(SECOND);
    const middle = renewedAfter(0.5);
    expect(Math.abs(middle - ((earliest + latest) / 2) * DAY)).toBeLessThan(SECOND);
  });

  it.each([0, 1, 59])("of max_age %i holds for a minute, so that not every query is a fetch", (maxAge) => {
    expect(newPin("1", fetched(maxAge), NOW, 0, OPTIONS).expiresAt).toBe(NOW + MINUTE);
  });
});

describe("nextFailure", () => {
  it("plans for whole milliseconds, as the cache file has them", () => {
    const property = fc.property(fc.nat(DAY), fc.integer({ min: 1, max: 40 }), (left, count) => {
      const before = { ...failure("1", NOW), count };
      const known = { failure: before, pin: pin({ expiresAt: NOW + left }) };
      const { retryAt } = nextFailure(known, "1", error("timeout"), NOW, OPTIONS);
      expect(retryAt).toSatisfy(Number.isInteger);
    });
    fc.assert(property);
  });

  it("says what failed, and pauses for five minutes", () => {
    expect(
      nextFailure({ failure: undefined, pin: undefined }, "1", error("status-404"), NOW, OPTIONS),
    ).toEqual({
      recordId: "1",
      reason: "status-404",
      detail: "it was status-404",
      count: 1,
      failedAt: NOW,
      retryAt: NOW + 5 * MINUTE,
    });
  });

  it("doubles the pause up to six hours", () => {
    const pauses: number[] = [];
    let last: FetchFailure | undefined;
    for (let i = 0; i < 9; i++) {
      last = nextFailure({ failure: last, pin: undefined }, "1", error("timeout"), NOW, OPTIONS);
      pauses.push((last.retryAt - NOW) / MINUTE);
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 360, 360]);
    const ancient = { ...failure("1", NOW), count: 100_000 };
    expect(
      nextFailure({ failure: ancient, pin: undefined }, "1", error("timeout"), NOW, OPTIONS).retryAt,
    ).toBe(NOW + 6 * HOUR);
  });

  it.each(["dns-error", "proxy-failed"] as const)(
    "is short after %s, which may be our own fault",
    (reason) => {
      const pauses: number[] = [];
      let last: FetchFailure | undefined;
      for (let i = 0; i < 6; i++) {
        last = nextFailure({ failure: last, pin: undefined }, "1", error(reason), NOW, OPTIONS);
        pauses.push((last.retryAt - NOW) / SECOND);
      }
      expect(pauses).toEqual([30, 60, 120, 240, 300, 300]);
    },
  );

  it.each([
    [8 * HOUR, 2 * HOUR], // a quarter of what is left
    [30 * DAY, 6 * HOUR], // the longest pause there is
    [10 * MINUTE, 5 * MINUTE], // and never less than the shortest
  ])(
    "with a pin that has %d ms to live pauses for %d ms at most, so that it does not lapse",
    (left, pause) => {
      const held = pin({ expiresAt: NOW + left });
      const many = { ...failure("1", NOW), count: 50 };
      expect(nextFailure({ failure: many, pin: held }, "1", error("timeout"), NOW, OPTIONS).retryAt).toBe(
        NOW + pause,
      );
    },
  );

  it("starts over for another id", () => {
    const before = { ...failure("1", NOW), count: 5 };
    expect(
      nextFailure({ failure: before, pin: undefined }, "2", error("timeout"), NOW, OPTIONS),
    ).toMatchObject({
      count: 1,
      retryAt: NOW + 5 * MINUTE,
    });
  });
});

describe("livePin", () => {
  it("is the pin until it expires", () => {
    const held = entry();
    expect(livePin(held, NOW + 7 * DAY - 1)).toBe(held.pin);
    expect(livePin(held, NOW + 7 * DAY)).toBeUndefined();
    expect(livePin(entry({ pin: undefined }), NOW)).toBeUndefined();
    expect(livePin(undefined, NOW)).toBeUndefined();
  });
});

describe("wantsFetch", () => {
  const renewAt = NOW + 3.5 * DAY;
  it.each<[string, Entry | undefined, string, number, boolean]>([
    ["nothing is known", undefined, "1", NOW, true],
    ["nothing is held", entry({ pin: undefined }), "1", NOW, true],
    ["the id is the same", entry(), "1", NOW, false],
    ["the id is another", entry(), "2", NOW, true],
    ["the pin is not yet due", entry(), "1", renewAt - 1, false],
    ["the pin is due", entry(), "1", renewAt, true],
    ["the pin has expired", entry(), "1", NOW + 7 * DAY, true],
    ["that id failed just now", entry({ failure: failure("2", NOW + 1) }), "2", NOW, false],
    ["the pause after its failure is over", entry({ failure: failure("2", NOW) }), "2", NOW, true],
    ["another id failed", entry({ failure: failure("2", NOW + 1) }), "3", NOW, true],
    ["a renewal failed just now", entry({ failure: failure("1", renewAt + 1) }), "1", renewAt, false],
    [
      "an expired pin's renewal failed",
      entry({ failure: failure("1", NOW + 8 * DAY) }),
      "1",
      NOW + 7 * DAY,
      false,
    ],
  ])("when %s", (_, known, id, now, wanted) => {
    expect(wantsFetch(known, id, now)).toBe(wanted);
  });
});

describe("nextActionAt", () => {
  const far = NOW + 30 * DAY;
  it.each<[string, Entry, number]>([
    ["the check", entry(), NOW + HOUR],
    ["the check, without a pin", entry({ pin: undefined }), NOW + HOUR],
    ["the renewal", entry({ checkAt: far }), NOW + 3.5 * DAY],
    ["the end of the pin", entry({ checkAt: far, pin: pin({ renewAt: far }) }), NOW + 7 * DAY],
    ["a failed fetch", entry({ checkAt: far, pin: undefined, failure: failure("1", NOW + 5) }), NOW + 5],
    ["a failed fetch of a new id", entry({ checkAt: far, failure: failure("2", NOW + 5) }), NOW + 5],
    [
      "the renewal, not before its pause is over",
      entry({ checkAt: far, failure: failure("1", NOW + 4 * DAY) }),
      NOW + 4 * DAY,
    ],
    [
      "the renewal, its last failure long over",
      entry({ checkAt: far, failure: failure("1", NOW) }),
      NOW + 3.5 * DAY,
    ],
    [
      "the end of a pin whose renewal must wait",
      entry({ checkAt: far, failure: failure("1", far) }),
      NOW + 7 * DAY,
    ],
  ])("is %s", (_, held, at) => {
    expect(nextActionAt(held)).toBe(at);
  });
});

describe("putOff", () => {
  it("leaves nothing to be done before the next check", () => {
    const due = entry({ pin: pin({ renewAt: NOW }), failure: failure("2", NOW) });
    expect(nextActionAt(due)).toBe(NOW);
    expect(nextActionAt(putOff(due))).toBe(NOW + HOUR);
  });

  it("changes nothing that comes later", () => {
    const later = entry({ failure: failure("2", NOW + 2 * HOUR) });
    expect(putOff(later)).toEqual(later);
    const blank = entry({ pin: undefined });
    expect(putOff(blank)).toEqual(blank);
  });
});
