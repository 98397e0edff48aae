/** What is logged of DANE discoveries, and what is taken for a resolver that does not answer. */
import { describe, expect, it } from "vitest";
import { daneEvents, watchDns, type FoundDane } from "../../src/events/network-events.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { DnsError, type DnsAnswer, type DnsErrorCode, type RecordType } from "../../src/net/dns/resolver.ts";
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

/** The code is how it failed. */
type Question = readonly [name: string, code?: DnsErrorCode];

/** Questions about `count` domains. */
function each(code: DnsErrorCode, count: number): Question[] {
  return Array.from({ length: count }, (_, n) => [`_mta-sts.d${n}.example`, code]);
}

describe("watchDns", () => {
  const ANSWER: DnsAnswer<RecordType> = {
    records: [],
    canonicalName: "",
    nameMissing: true,
    ttl: 0,
    authenticated: false,
  };

  /** Whether the resolver is taken to answer after these questions. */
  async function isAnswering(questions: readonly Question[]): Promise<boolean> {
    const watch = watchDns(new Metrics(), () => 0);
    for (const [name, code] of questions) {
      const resolver = watch.observe({
        async resolve<T extends RecordType>() {
          if (code !== undefined) throw new DnsError(code, name);
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Without records it is of any type.
          return ANSWER as DnsAnswer<T>;
        },
      });
      await resolver.resolve(name, "TXT").catch(() => undefined);
    }
    return watch.health.answering;
  }

  it.each<[why: string, answering: boolean, questions: readonly Question[]]>([
    ["nothing was asked", true, []],
    ["four domains in vain may be chance", true, each("timeout", 4)],
    ["five domains timed out", false, each("timeout", 5)],
    ["five domains failed", false, each("servfail", 5)],
    ["an answer in between", true, [...each("timeout", 4), ["a.example"], ["d9.example", "timeout"]]],
    ["an answer after it", true, [...each("timeout", 9), ["a.example"]]],
    [
      "one domain, again and again",
      true,
      Array.from({ length: 50 }, (): Question => ["d.example", "servfail"]),
    ],
    [
      "one domain by all of its names",
      true,
      ["_mta-sts.d.example", "mta-sts.d.example", "d.example", "mx.d.example", "_25._tcp.mx.d.example"].map(
        (name): Question => [name, "timeout"],
      ),
    ],
    ["names that cannot be asked for", true, each("bad-name", 9)],
    ["questions that were given up", true, each("aborted", 9)],
  ])("%s: answering %s", async (_, answering, questions) => {
    expect(await isAnswering(questions)).toBe(answering);
  });
});
