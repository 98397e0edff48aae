/** How often the log names a domain that a rollout holds back. */
import { expect, it } from "vitest";
import { heldBackLog } from "../../src/events/held-back-log.ts";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import { Clock, DAY, HOUR } from "../helpers/clock.ts";
import { startLog } from "../helpers/log-lines.ts";

const profile = (rollout: number): MapProfile => ({
  attributes: "3.4",
  dane: "yield",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout,
});

it("names a domain under each map once a day, and under no map that is not in force", () => {
  const clock = new Clock();
  const { log, lines } = startLog();
  const [one, other, gone] = [profile(25), profile(0), profile(25)];
  const maps = new Map([
    ["postfix", one],
    ["postfix310", other],
  ]);
  const heldBack = heldBackLog(log, () => maps, clock.now);
  for (const asked of [one, one, other, gone, one]) heldBack("d.example", asked);
  const line = {
    level: "info",
    domain: "d.example",
    result: "would_enforce",
    msg: "held back by the rollout",
  };
  const both = [
    { ...line, map: "postfix", rollout: "25%" },
    { ...line, map: "postfix310", rollout: "0%" },
  ];
  expect(lines).toEqual(both);
  clock.advance(DAY - HOUR);
  heldBack("d.example", one);
  expect(lines).toEqual(both);
  clock.advance(HOUR);
  heldBack("d.example", one);
  expect(lines).toEqual([...both, both[0]]);
});
