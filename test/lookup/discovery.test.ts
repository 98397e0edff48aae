import { describe, expect, it } from "vitest";
import { discoverRecord } from "../../src/lookup/discovery.ts";
import { resolvePolicy } from "../../src/lookup/resolution.ts";
import { FetchError, type FetchFailureReason } from "../../src/net/policy-host/policy-fetcher.ts";
import { DnsError, type DnsErrorCode, type Resolver } from "../../src/net/dns/resolver.ts";
import { DEFAULTS, startWorld } from "../helpers/world.ts";

const failing = (code: DnsErrorCode): Resolver => ({
  resolve: (name, type) => Promise.reject(new DnsError(code, `${type} of ${name}: ${code}`)),
});

describe("a failure of DNS", () => {
  it.each<DnsErrorCode>(["timeout", "network", "servfail", "refused", "malformed", "aborted"])(
    "%s says nothing about the record",
    async (code) => {
      expect(await discoverRecord("d.example", failing(code))).toMatchObject({
        kind: "dns-failure",
        error: { code },
      });
    },
  );

  it.each<DnsErrorCode>(["cname-loop", "bad-name"])(
    "%s is the owner's fault: the record is not valid",
    async (code) => {
      expect(await discoverRecord("d.example", failing(code))).toEqual({
        kind: "invalid",
        reason: `TXT of _mta-sts.d.example: ${code}`,
        ttl: 0,
        canonicalName: "_mta-sts.d.example",
      });
    },
  );

  it("a record behind a loop of aliases is no record", async () => {
    await using world = await startWorld();
    world.dns.zone.cname("_mta-sts.d.example", "loop.example");
    world.dns.zone.cname("loop.example", "_mta-sts.d.example");
    expect(await world.ask("d.example")).toBe("NOTFOUND");
    expect(world.events.resolved).toMatchObject([{ outcome: { kind: "no-record", isInvalid: true } }]);
  });
});

describe("a fetch that ended by no fault of the policy host's", () => {
  it.each<[reason: FetchFailureReason, isRemembered: boolean]>([
    ["aborted", false],
    ["overloaded", false],
    ["local-error", false],
    ["timeout", true],
  ])("%s is remembered against it: %s", async (reason, isRemembered) => {
    const trace = { url: "https://mta-sts.d.example/", durationMs: 0 };
    const { entry } = await resolvePolicy("d.example", undefined, {
      resolver: {
        resolve: async (name) => ({
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only TXT is asked for
          records: ["v=STSv1; id=1;"] as never,
          canonicalName: name,
          nameMissing: false,
          ttl: 60,
          authenticated: false,
        }),
      },
      fetcher: {
        fetch: () => Promise.reject(new FetchError("sts-policy-fetch-error", reason, reason, trace)),
      },
      freshness: DEFAULTS.freshness,
      now: () => 0,
      random: () => 0.5,
    });
    expect(entry.failure !== undefined).toBe(isRemembered);
  });
});
