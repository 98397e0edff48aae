/** What is known of the renewals that are due, and how little is read for it. */
import { beforeEach, describe, expect, it } from "vitest";

import { RenewalBacklog } from "../../src/lookup/renewal-backlog.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { StoreError } from "../../src/store/store.ts";
import { Clock, DAY, HOUR, MINUTE, SECOND } from "../helpers/clock.ts";
import { SILENT } from "./silent-events.ts";
import { entry, pin, T0 } from "../store/entries.ts";

describe("the backlog of renewals", () => {
  const clock = new Clock(T0);
  let store: MemoryStore;
  /** The `dueAfter` of each look at the store. */
  let looks: number[];
  let failures: string[];
  let isBroken: boolean;
  let backlog: RenewalBacklog;

  beforeEach(() => {
    clock.set(T0);
    [looks, failures, isBroken] = [[], [], false];
    store = new MemoryStore();
    const inner = store.backlog.bind(store);
    store.backlog = async (now, usedSince, limit, dueAfter) => {
      looks.push(dueAfter);
      if (isBroken) throw new StoreError("io", "the thread stopped");
      return inner(now, usedSince, limit, dueAfter);
    };
    const events = { ...SILENT, storeFailed: (operation: string) => void failures.push(operation) };
    const options = { unusedAfter: 60 * DAY, countInterval: 5 * MINUTE };
    backlog = new RenewalBacklog({ store, events, now: clock.now, options });
  });

  /** Falls due at `dueAt` after T0, and lapses at `end` after it. */
  const add = (domain: string, dueAt: number, end: number) =>
    store.put(entry(domain, { pin: pin({ renewAt: T0 + dueAt, expiresAt: T0 + end }) }));
  const look = () => backlog.look(new AbortController().signal);
  const known = () => [backlog.rows, ...backlog.firstToLapse.map(({ domain }) => domain)];

  it("is read as a whole once, and then what fell due since; what lapses first comes first", async () => {
    await add("day", -HOUR, DAY);
    await add("week", -HOUR, 7 * DAY);
    await add("soon", SECOND, HOUR);
    await look();
    expect(known()).toEqual([2, "day", "week"]);
    clock.advance(SECOND);
    await look();
    expect(known()).toEqual([3, "soon", "day", "week"]);
    expect(looks).toEqual([0, T0]);
  });

  it("is less by those that had their turn, and names none that lapsed", async () => {
    await add("day", -HOUR, DAY);
    await add("minute", -HOUR, MINUTE);
    await add("week", -HOUR, 7 * DAY);
    await look();
    backlog.strike("day");
    clock.advance(MINUTE);
    await look();
    expect(known()).toEqual([2, "week"]);
  });

  it.each([
    ["after a while", 5 * MINUTE, 0],
    ["once the clock was set back", -1, 0],
    ["but not before", 5 * MINUTE - 1, T0],
  ])("is read as a whole again %s", async (_, step, dueAfter) => {
    await add("day", -HOUR, DAY);
    await look();
    clock.advance(step);
    await look();
    expect(looks).toEqual([0, dueAfter]);
  });

  describe("of more than are named", () => {
    beforeEach(async () => {
      for (let n = 0; n < 1_001; n++) await add(`d${n}`, -HOUR, DAY + n * SECOND);
      await look();
    });

    it("says when the others begin to lapse, and names none beyond that", async () => {
      await add("later", SECOND, 7 * DAY);
      await add("sooner", SECOND, HOUR);
      clock.advance(SECOND);
      await look();
      const ends = backlog.firstToLapse.map(({ expiresAt }) => expiresAt);
      expect([backlog.rows, ends.length, ends[0]]).toEqual([1_003, 1_000, T0 + HOUR]);
      expect([backlog.othersFrom, ends.at(-1)]).toEqual([T0 + DAY + 998 * SECOND, T0 + DAY + 998 * SECOND]);
    });

    it("is read as a whole again when the names are used up", async () => {
      for (let n = 0; n < 1_000; n++) backlog.strike(`d${n}`);
      await look();
      expect(looks).toEqual([0, 0]);
    });
  });

  it("is unknown where the store cannot tell, and read as a whole the next time", async () => {
    await add("day", -HOUR, DAY);
    await look();
    isBroken = true;
    expect(await look()).toBe(false);
    expect([...known(), ...failures]).toEqual([0, "read"]);
    isBroken = false;
    expect(await look()).toBe(true);
    expect(known()).toEqual([1, "day"]);
    expect(looks).toEqual([0, T0, 0]);
  });
});
