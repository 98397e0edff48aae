import { expect, it } from "vitest";
import { countedLookup, lookupMetrics } from "../../src/events/counted-lookup.ts";
import type { LookupService } from "../../src/lookup/lookup-service.ts";
import { Question } from "../../src/lookup/question.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import type { Reply } from "../../src/policy/reply.ts";

it("counts what a rollout holds back apart, at once or late, whatever is answered instead", async () => {
  const counted = lookupMetrics(new Metrics());
  const replies: (Reply | Promise<Reply>)[] = [
    { status: "NOTFOUND" },
    { status: "NOTFOUND", isHeldBack: true },
    Promise.resolve({ status: "NOTFOUND", isHeldBack: true }),
    { status: "OK", text: "dane", shortText: "dane", isHeldBack: true },
    { status: "OK", text: "dane", shortText: "dane" },
    { status: "TEMP", reason: "" },
  ];
  const service = { lookup: () => replies.shift() ?? { status: "NOTFOUND" as const } };
  const lookups = countedLookup(
    service,
    "socketmap",
    counted,
    () => true,
    () => 0,
  );
  while (replies.length > 0) await lookups.lookup(new Question("postfix", "d.example"));
  const byResult = counted.lookups.samples().map(({ labels, value }) => [labels["result"], value]);
  expect(Object.fromEntries(byResult)).toEqual({ ok: 1, notfound: 1, temp: 1, would_enforce: 3 });
});

it("times one lookup in eight, and counts those in between as long", () => {
  const counted = lookupMetrics(new Metrics());
  let time = 0;
  let took = 5;
  let looks = 0;
  const service: LookupService = {
    lookup() {
      time += took;
      return { status: "NOTFOUND" };
    },
  };
  const now = () => {
    looks++;
    return time;
  };
  const lookups = countedLookup(service, "socketmap", counted, () => true, now);
  const ask = (times: number) => {
    for (let n = 0; n < times; n++) void lookups.lookup(new Question("postfix", "d.example"));
    return counted.warm.counts.reduce((sum, count) => sum + count, 0);
  };
  expect([ask(1), looks, counted.warm.sum]).toEqual([1, 2, 0.005]);
  took = 50;
  expect([ask(7), looks]).toEqual([8, 2]);
  expect(counted.warm.sum).toBeCloseTo(0.04);
  expect([ask(1), looks]).toEqual([9, 4]);
  expect(counted.warm.sum).toBeCloseTo(0.09);
});
