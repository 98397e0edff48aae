import { expect, it } from "vitest";
import { countedLookup, lookupMetrics } from "../../src/events/counted-lookup.ts";
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
  while (replies.length > 0) await lookups.lookup("postfix", "d.example");
  const byResult = counted.lookups.samples().map(({ labels, value }) => [labels["result"], value]);
  expect(Object.fromEntries(byResult)).toEqual({ ok: 1, notfound: 1, temp: 1, would_enforce: 3 });
});
