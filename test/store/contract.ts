/** What every PolicyStore must do. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dueAt, HISTORY_LENGTH, type Backlog, type Entry, type PolicyStore } from "../../src/store/store.ts";
import { DAY, entry, failure, HOUR, MINUTE, pin, T0 } from "./entries.ts";

/** Runs the contract against the stores that `open` makes, each empty; `open` cleans up after the one before. */
export function describeStore(name: string, open: () => PolicyStore): void {
  // oxlint-disable-next-line vitest/valid-title -- the caller's
  describe(name, () => {
    let store: PolicyStore;
    beforeEach(() => {
      store = open();
    });
    afterEach(() => store.close());

    const putAll = (...entries: Entry[]) => Promise.all(entries.map((e) => store.put(e)));

    describe("put and get", () => {
      it("gives back a row as it was put", async () => {
        const row = entry("example.com", { failure: failure() });
        await store.put(row);
        expect(store.get("example.com")).toEqual(row);
      });

      it("knows nothing of a domain that was never put", () => {
        expect(store.get("example.com")).toBeUndefined();
      });

      it("keeps a row without pin and failure", async () => {
        const row = entry("example.com", { pin: undefined });
        await store.put(row);
        expect(store.get("example.com")).toEqual(row);
      });

      it("keeps a policy of mode none without mx", async () => {
        const row = entry("example.com", { pin: pin({ mode: "none", mx: [] }) });
        await store.put(row);
        expect(store.get("example.com")).toEqual(row);
      });

      it("refuses what is planned for a fraction of a millisecond", async () => {
        const refused = entry("example.com", { failure: failure({ retryAt: T0 + 0.25 }) });
        await expect(store.put(refused)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
        expect(store.get("example.com")).toBeUndefined();
      });

      it("keeps a text in another script and with any line ends", async () => {
        const row = entry("example.com", {
          pin: pin({ text: "version: STSv1\nmode: enforce\r\nnote: é ☃ \u2028 𝄞\n" }),
        });
        await store.put(row);
        expect(store.get("example.com")?.pin?.text).toBe(row.pin?.text);
      });

      it("replaces a pin by one fetched later", async () => {
        await store.put(entry("example.com"));
        const newer = pin({ recordId: "next", mode: "testing", fetchedAt: T0 + 1 });
        await store.put(entry("example.com", { pin: newer }));
        expect(store.get("example.com")?.pin).toEqual(newer);
      });

      it("never replaces a pin by one fetched earlier", async () => {
        await store.put(entry("example.com"));
        await store.put(
          entry("example.com", { pin: pin({ recordId: "old", fetchedAt: T0 - 1 }), checkedAt: T0 + DAY }),
        );
        expect(store.get("example.com")?.pin).toEqual(pin());
        expect(store.get("example.com")?.checkedAt).toBe(T0 + DAY);
      });

      it("never lets a row without pin take one away", async () => {
        await store.put(entry("example.com"));
        await store.put(entry("example.com", { pin: undefined, checkedAt: T0 + DAY }));
        expect(store.get("example.com")?.pin).toEqual(pin());
      });

      it("adds a pin to a row that had none", async () => {
        await store.put(entry("example.com", { pin: undefined }));
        await store.put(entry("example.com"));
        expect(store.get("example.com")?.pin).toEqual(pin());
      });

      it("takes failure and times of the check from the newer check", async () => {
        const newer = { failure: failure(), checkedAt: T0 + HOUR, checkAt: T0 + 2 * HOUR };
        await store.put(entry("example.com", newer));
        await store.put(entry("example.com", { failure: failure({ reason: "timeout" }), checkAt: T0 }));
        expect(store.get("example.com")).toMatchObject(newer);
      });

      it("clears a failure by a newer check without one", async () => {
        await store.put(entry("example.com", { failure: failure() }));
        await store.put(entry("example.com", { checkedAt: T0 + 1 }));
        expect(store.get("example.com")?.failure).toBeUndefined();
      });

      it("takes the failure of a fetch that followed the same check", async () => {
        await store.put(entry("example.com"));
        await store.put(entry("example.com", { failure: failure() }));
        expect(store.get("example.com")?.failure).toEqual(failure());
      });

      it("never moves usedAt back", async () => {
        await store.put(entry("example.com"));
        await store.put(entry("example.com", { usedAt: T0 - DAY, checkedAt: T0 + 1 }));
        expect(store.get("example.com")?.usedAt).toBe(T0);
      });

      it("keeps all rows of one moment", async () => {
        const rows = Array.from({ length: 2500 }, (_, n) => entry(`d${n}.example`));
        await putAll(...rows);
        expect(rows.map(({ domain }) => store.get(domain)?.domain)).toEqual(domains(rows));
      });

      it("does puts of one domain in their order", async () => {
        await putAll(
          entry("example.com", { checkAt: 1 }),
          entry("example.com", { checkAt: 2 }),
          entry("example.com", { checkAt: 3 }),
        );
        expect(store.get("example.com")?.checkAt).toBe(3);
      });
    });

    describe("delete", () => {
      it("forgets the row and its history", async () => {
        await store.put(entry("example.com"));
        await store.delete("example.com");
        expect(store.get("example.com")).toBeUndefined();
        expect(store.history("example.com")).toEqual([]);
      });

      it("is no failure where there is nothing", async () => {
        await expect(store.delete("example.com")).resolves.toBeUndefined();
      });

      it("lets an earlier fetch be put afterwards, in the same moment too", async () => {
        await store.put(entry("example.com", { pin: pin({ fetchedAt: T0 + 365 * DAY }) }));
        await Promise.all([store.delete("example.com"), store.put(entry("example.com"))]);
        expect(store.get("example.com")?.pin).toEqual(pin());
      });
    });

    describe("deleteExpired", () => {
      const spent = T0 + 30 * DAY;

      it.each([
        ["an expired pin that nobody uses", entry("a"), 1],
        ["an expired pin in use", entry("a", { usedAt: spent }), 0],
        ["a pin that holds", entry("a", { pin: pin({ maxAge: 31_557_600 }) }), 0],
        ["a row that says nothing any more, though in use", entry("a", { pin: undefined, usedAt: spent }), 1],
        ["a row whose check still counts", entry("a", { pin: undefined, checkAt: spent + 1 }), 0],
        ["a failure that nobody asks for", entry("a", { pin: undefined, failure: failure() }), 1],
        ["a failure in use", entry("a", { pin: undefined, failure: failure(), usedAt: spent }), 0],
        [
          "a failure to be waited out",
          entry("a", { pin: undefined, failure: failure({ retryAt: spent + 1 }) }),
          0,
        ],
      ])("%s", async (_, row, deleted) => {
        await store.put(row);
        expect(await store.deleteExpired(spent, spent - DAY)).toBe(deleted);
        expect(store.get("a") === undefined).toBe(deleted === 1);
        expect(store.history("a").length > 0 && deleted === 1).toBe(false);
      });

      it("deletes any number", async () => {
        await putAll(
          ...Array.from({ length: 1203 }, (_, n) => entry(`d${n}`)),
          entry("kept", { usedAt: spent }),
        );
        expect(await store.deleteExpired(spent, spent - DAY)).toBe(1203);
        expect(domains(store.list({}, "", 10).entries)).toEqual(["kept"]);
      });
    });

    describe("rebase", () => {
      const ahead = 30 * DAY;
      const early = T0 - ahead;

      it("moves a row from a clock that was ahead back, each span in it as it was", async () => {
        await putAll(entry("a", { failure: failure() }), entry("b", { pin: undefined, failure: failure() }));
        expect(await store.rebase(early)).toBe(2);
        const moved = { failedAt: early, retryAt: early + 5 * MINUTE };
        const times = { checkedAt: early, checkAt: early + HOUR, usedAt: early };
        const row = { ...times, failure: failure(moved) };
        expect(store.get("a")).toEqual(entry("a", { ...row, pin: pin({ fetchedAt: early }) }));
        expect(store.get("b")).toEqual(entry("b", { ...row, pin: undefined }));
      });

      it("takes nothing from the life of a policy fetched before the clock was ahead", async () => {
        const before = pin({ fetchedAt: early - DAY });
        await store.put(entry("a", { pin: { ...before, renewAt: T0 + HOUR } }));
        await store.rebase(early);
        expect(store.get("a")).toMatchObject({
          pin: { ...before, renewAt: early + HOUR },
          checkAt: early + HOUR,
        });
      });

      it("lets a policy fetched after it replace one fetched ahead of it", async () => {
        await store.put(entry("a"));
        await store.rebase(early);
        const next = pin({ recordId: "next", fetchedAt: early + 1 });
        await store.put(entry("a", { pin: next, checkedAt: early + 1 }));
        expect(store.get("a")?.pin).toEqual(next);
        expect(store.history("a").map(({ recordId, firstSeen }) => [recordId, firstSeen])).toEqual([
          [pin().recordId, early],
          ["next", early + 1],
        ]);
      });

      it("leaves alone what a clock under NTP may have written", async () => {
        await store.put(entry("a"));
        expect(await store.rebase(T0 - MINUTE)).toBe(0);
        expect(store.get("a")).toEqual(entry("a"));
      });

      it("looks at every row", async () => {
        await putAll(...Array.from({ length: 5_001 }, (_, n) => entry(`d${n}`)));
        expect(await store.rebase(early)).toBe(5_001);
        expect(await store.rebase(early)).toBe(0);
      });
    });

    describe("noteDane and lastDane", () => {
      it("keep what was noted last of a domain that has a row", async () => {
        await store.put(entry("a"));
        expect(store.lastDane("a")).toBeUndefined();
        await store.noteDane("a", "none");
        await store.noteDane("a", "all");
        expect(store.lastDane("a")).toBe("all");
        await store.put(entry("a", { checkedAt: T0 + 1 }));
        expect(store.lastDane("a")).toBe("all");
      });

      it("keep what came with a put where there was none, and no put changes what was there", async () => {
        await store.put(entry("a"), "none");
        expect(store.lastDane("a")).toBe("none");
        await store.put(entry("a", { checkedAt: T0 + 1 }));
        await store.put(entry("b", { checkedAt: T0 + 1 }));
        expect([store.lastDane("a"), store.lastDane("b")]).toEqual(["none", undefined]);
        await store.put(entry("a", { checkedAt: T0 + 2 }), "all");
        expect(store.lastDane("a")).toBe("none");
        await store.noteDane("a", "all");
        expect(store.lastDane("a")).toBe("all");
      });

      it("keep nothing of a domain that has none, or has none any more", async () => {
        await store.noteDane("a", "none");
        expect(store.lastDane("a")).toBeUndefined();
        await store.put(entry("a"));
        await store.noteDane("a", "none");
        await store.delete("a");
        await store.put(entry("a"));
        expect(store.lastDane("a")).toBeUndefined();
      });
    });

    describe("due and nextDue", () => {
      const renewAt = pin().renewAt;

      it.each([
        ["the renewal, and not when the record is to be checked", entry("a"), renewAt],
        [
          "the retry of a failed renewal",
          entry("a", {
            failure: failure({ recordId: pin().recordId, retryAt: renewAt + 5 }),
          }),
          renewAt + 5,
        ],
        [
          "the renewal, although a fetch of the same id failed before it",
          entry("a", { failure: failure({ recordId: pin().recordId }) }),
          renewAt,
        ],
        ["the retry of a new id, before the renewal", entry("a", { failure: failure() }), failure().retryAt],
        ["nothing without a pin", entry("a", { pin: undefined, failure: failure() }), undefined],
      ])("is due at %s", async (_, row, at) => {
        await store.put(row);
        expect(dueAt(row)).toBe(at);
        expect(store.nextDue(T0, 0)).toBe(at);
        if (at === undefined) return;
        expect(domains(store.due(at, 0, 10))).toEqual(["a"]);
        expect(store.due(at - 1, 0, 10)).toEqual([]);
      });

      it("gives the longest due first, whenever they were used, and no more than asked for", async () => {
        const ages = [3, 59, 0, 20, 41];
        await putAll(
          ...ages.map((age, n) =>
            entry(`d${n}`, { pin: pin({ renewAt: T0 + age }), usedAt: T0 - age * DAY }),
          ),
        );
        expect(domains(store.due(T0 + 60, 0, 10))).toEqual(["d2", "d0", "d3", "d4", "d1"]);
        expect(domains(store.due(T0 + 60, 0, 2))).toEqual(["d2", "d0"]);
        expect(domains(store.due(T0 + 10, 0, 10))).toEqual(["d2", "d0"]);
      });

      it("leaves out what was not used since, to the millisecond", async () => {
        const since = T0 - 60 * DAY;
        await putAll(
          entry("late", { usedAt: since - 1, pin: pin({ renewAt: T0 - 1 }) }),
          entry("just", { usedAt: since, pin: pin({ renewAt: T0 }) }),
        );
        expect(domains(store.due(T0, since, 10))).toEqual(["just"]);
        expect(store.nextDue(T0, since)).toBe(T0);
        expect(store.nextDue(T0, since + 1)).toBeUndefined();
      });

      it("leaves out pins that have expired", async () => {
        const { expiresAt } = pin();
        await store.put(entry("a"));
        expect(domains(store.due(expiresAt - 1, 0, 10))).toEqual(["a"]);
        expect(store.due(expiresAt, 0, 10)).toEqual([]);
        expect(store.nextDue(expiresAt, 0)).toBeUndefined();
      });
    });

    describe("backlog", () => {
      it("counts what is due, and names what lapses first, whenever it was used", async () => {
        await putAll(
          lapsing("d4", 4),
          lapsing("d1", 1),
          lapsing("d5", 5),
          lapsing("d3", 3),
          lapsing("d2", 2),
        );
        const backlog = await store.backlog(T0, 0, 3, 0);
        expect(backlog).toEqual({
          rows: 5,
          firstToLapse: [1, 2, 3].map((days) => ({
            domain: `d${days}`,
            dueAt: T0 - 1,
            expiresAt: T0 + days * DAY,
          })),
        });
        expect(firstDomains(await store.backlog(T0, 0, 10, 0))).toEqual(["d1", "d2", "d3", "d4", "d5"]);
      });

      it("of what fell due after a moment leaves out what fell due at it", async () => {
        await putAll(lapsing("before", 1, 3), lapsing("at", 2, 2), lapsing("after", 3, 1));
        const backlog = await store.backlog(T0, 0, 10, T0 - 2);
        expect([backlog.rows, firstDomains(backlog)]).toEqual([1, ["after"]]);
      });

      it("of those that lapse together names the longest due first", async () => {
        await putAll(lapsing("b", 1, 2), lapsing("a", 1, 3), lapsing("c", 1, 1));
        expect(firstDomains(await store.backlog(T0, 0, 2, 0))).toEqual(["a", "b"]);
      });

      it.each([
        ["is not due yet", { pin: pin({ renewAt: T0 + 1 }) }],
        ["waits for its next try", { failure: failure({ recordId: pin().recordId, retryAt: T0 + 1 }) }],
        ["has expired", { pin: pin({ renewAt: T0 - DAY, expiresAt: T0 }) }],
        ["has no pin", { pin: undefined }],
        ["was not used since, to the millisecond", { usedAt: T0 - 60 * DAY - 1 }],
        ["was not used for longer", { usedAt: T0 - 62 * DAY }],
      ])("leaves out what %s", async (_, change) => {
        const duePin = pin({ renewAt: T0 - 1 });
        await putAll(
          entry("in", { pin: duePin, usedAt: T0 - 60 * DAY }),
          entry("out", { pin: duePin, ...change }),
        );
        const backlog = await store.backlog(T0, T0 - 60 * DAY, 10, 0);
        expect([backlog.rows, firstDomains(backlog)]).toEqual([1, ["in"]]);
      });
    });

    describe("list", () => {
      beforeEach(() =>
        putAll(
          entry("a.example", { pin: pin({ fetchedAt: T0 - DAY }) }),
          entry("b.example", { pin: pin({ mode: "testing" }), failure: failure() }),
          entry("c.example", { pin: undefined, failure: failure() }),
          entry("d.example", { pin: pin({ mode: "none", mx: [], maxAge: 86_400 }) }),
          entry("e.example"),
        ),
      );

      it.each([
        ["all", {}, ["a.example", "b.example", "c.example", "d.example", "e.example"]],
        ["by mode", { mode: "enforce" }, ["a.example", "e.example"]],
        ["by end", { expiresBefore: T0 + 2 * DAY }, ["d.example"]],
        ["by fetch", { fetchedBefore: T0 }, ["a.example"]],
        ["by failure", { failed: true }, ["b.example", "c.example"]],
        ["by success", { failed: false }, ["a.example", "d.example", "e.example"]],
        ["by all at once", { mode: "testing", failed: true, expiresBefore: T0 + 30 * DAY }, ["b.example"]],
      ] as const)("filters: %s", (_, filter, expected) => {
        const { entries, next } = store.list(filter, "", 10);
        expect(domains(entries)).toEqual(expected);
        expect(next).toBeUndefined();
      });

      it("gives every row once over pages of two", () => {
        const seen: string[] = [];
        let after: string | undefined = "";
        while (after !== undefined) {
          const page = store.list({}, after, 2);
          expect(page.entries.length).toBeLessThanOrEqual(2);
          seen.push(...domains(page.entries));
          after = page.next;
        }
        expect(seen).toEqual(["a.example", "b.example", "c.example", "d.example", "e.example"]);
      });

      it("goes on after a page in which the filter let nothing through", () => {
        expect(store.list({ mode: "none" }, "", 2)).toEqual({ entries: [], next: "b.example" });
      });
    });

    describe("history", () => {
      it("tells ids, modes and failures with the time each was first seen", async () => {
        const first = pin({ recordId: "1", mode: "testing", fetchedAt: T0 });
        const failed = failure({ recordId: "2", failedAt: T0 + 10 });
        const second = pin({ recordId: "2", fetchedAt: T0 + 30 });
        await store.put(entry("a", { pin: first }));
        await store.put(entry("a", { pin: first, failure: failed }));
        await store.put(entry("a", { pin: first, failure: { ...failed, failedAt: T0 + 20, count: 2 } }));
        await store.put(entry("a", { pin: second }));
        await store.put(entry("a", { pin: { ...second, fetchedAt: T0 + 40 } }));
        expect(store.history("a")).toEqual([
          { recordId: "1", firstSeen: T0, outcome: "testing" },
          { recordId: "2", firstSeen: T0 + 10, outcome: "status-404" },
          { recordId: "2", firstSeen: T0 + 30, outcome: "enforce" },
        ]);
      });

      it("keeps the last steps only", async () => {
        for (let n = 0; n < HISTORY_LENGTH + 5; n++) {
          await store.put(entry("a", { pin: pin({ recordId: `id${n}`, fetchedAt: T0 + n }) }));
        }
        const ids = store.history("a").map(({ recordId }) => recordId);
        expect(ids).toHaveLength(HISTORY_LENGTH);
        expect(ids[0]).toBe("id5");
        expect(ids.at(-1)).toBe(`id${HISTORY_LENGTH + 4}`);
      });

      it("is empty for a domain without id", async () => {
        await store.put(entry("a", { pin: undefined }));
        expect(store.history("a")).toEqual([]);
      });
    });

    it("counts rows by mode, pins that end within a week, and the oldest check", async () => {
      await putAll(
        entry("a", { checkedAt: T0 - 5 }),
        entry("b", { pin: pin({ maxAge: 31_557_600 }) }),
        entry("c", { pin: pin({ mode: "testing", fetchedAt: T0 - 30 * DAY }) }),
        entry("d", { pin: undefined, checkedAt: T0 - DAY }),
      );
      expect(await store.counts(T0 + MINUTE)).toEqual({
        entries: { enforce: 2, testing: 1, none: 0, unpinned: 1 },
        expiringSoon: 1,
        lapsing: 0,
        oldestCheck: T0 - 5,
      });
    });

    it("counts as lapsing what is in use, ends within a week and could not be fetched again", async () => {
      const rows: [domain: string, row: Partial<Entry>, reason: string][] = [
        ["a", { failure: failure() }, "lapsing"],
        ["b", { failure: failure(), pin: pin({ mode: "testing" }) }, "lapsing"],
        ["c", { failure: failure(), pin: pin({ mode: "none" }) }, "its end changes nothing"],
        ["d", { failure: failure(), usedAt: T0 - 8 * DAY }, "nobody asks for it"],
        ["e", { failure: failure(), pin: pin({ maxAge: 31_557_600 }) }, "time enough"],
        ["f", { failure: failure(), pin: pin({ fetchedAt: T0 - 30 * DAY }) }, "has expired"],
        ["g", { failure: failure(), pin: undefined }, "has no policy"],
        ["h", {}, "nothing failed"],
      ];
      await putAll(...rows.map(([domain, row]) => entry(domain, { usedAt: T0, ...row })));
      expect(await store.counts(T0 + MINUTE)).toMatchObject({ lapsing: 2 });
    });

    it("counts nothing in an empty store", async () => {
      expect(await store.counts(T0)).toEqual({
        entries: { enforce: 0, testing: 0, none: 0, unpinned: 0 },
        expiringSoon: 0,
        lapsing: 0,
        oldestCheck: undefined,
      });
    });

    it("does not count its own writes as made elsewhere", async () => {
      await store.put(entry("a"));
      await store.delete("a");
      expect(store.changedElsewhere()).toEqual([]);
    });

    it("is healthy after a write", async () => {
      await store.put(entry("a"));
      expect(store.health()).toEqual({ writable: true, readable: true });
    });

    describe("close", () => {
      it("may be called again", async () => {
        await store.close();
        await expect(store.close()).resolves.toBeUndefined();
      });

      it("writes what was put before it", async () => {
        const puts = putAll(entry("a"), entry("b"));
        await store.close();
        await expect(puts).resolves.toHaveLength(2);
      });

      it("refuses everything afterwards, except a touch", async () => {
        await store.close();
        const closed = expect.objectContaining({ name: "StoreError", code: "closed" });
        await expect(store.put(entry("a"))).rejects.toEqual(closed);
        await expect(store.delete("a")).rejects.toEqual(closed);
        await expect(store.deleteExpired(0, 0)).rejects.toEqual(closed);
        await expect(store.counts(0)).rejects.toEqual(closed);
        await expect(store.backlog(0, 0, 1, 0)).rejects.toEqual(closed);
        expect(() => store.get("a")).toThrow(closed);
        expect(() => store.nextDue(0, 0)).toThrow(closed);
        expect(() => store.touch("a", 0)).not.toThrow();
      });
    });
  });
}

function domains(entries: readonly Entry[]): string[] {
  return entries.map(({ domain }) => domain);
}

/** A row that is due at T0, and lapses `days` after it; last used as long before it. */
function lapsing(domain: string, days: number, dueAgo = 1): Entry {
  const times = { renewAt: T0 - dueAgo, expiresAt: T0 + days * DAY };
  return entry(domain, { pin: pin(times), usedAt: T0 - days * DAY });
}

function firstDomains({ firstToLapse }: Backlog): string[] {
  return firstToLapse.map(({ domain }) => domain);
}
