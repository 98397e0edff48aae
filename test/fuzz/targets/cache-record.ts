import { isDeepStrictEqual } from "node:util";
import { CacheRecordError, parseRecord, toRecord } from "../../../src/lookup/cache/record.ts";
import { policyDomain } from "../../../src/policy/domain.ts";
import { DAY, entry, failure, HOUR, MINUTE, pin, T0 } from "../../store/entries.ts";
import { attempt, rule, type FuzzTarget } from "../target.ts";
import { checkReplies } from "./replies.ts";

const LEAST_LIFETIME = MINUTE;
/** The longest max_age, and a day. */
const HORIZON = 31_557_600_000 + DAY;

function line(change: Parameters<typeof entry>[1]): string {
  return JSON.stringify(toRecord(entry("example.com", change)));
}

export const cacheRecord: FuzzTarget = {
  name: "cache-record",
  maxLength: 2_500,
  dictionary: [
    '"v":1',
    '"domain":"',
    "example.com",
    '"pin":null',
    '"failure":null',
    '"mode":"none"',
    '"mx":[',
    '"mx.example.com"',
    '"max_age":',
    "\\r\\n",
    "\\u0000",
    "\\ud800",
    "mode: none\\r\\n",
    "9999-12-31T23:59:59.999Z",
    "2026-11-21T22:04:05.000Z",
    "1970-01-01T00:00:00.000Z",
    "+275760-09-13T00:00:00.000Z",
    '"__proto__":',
    "null",
    "{",
    "}",
    "1e3",
    "-0",
    "hostname",
    "\\u007d match=evil.example {",
  ],
  seeds: [
    line({}),
    line({ failure: failure() }),
    line({ pin: undefined, failure: failure({ recordId: "x" }) }),
    line({ pin: pin({ mode: "none", mx: [], maxAge: 1 }) }),
    line({ pin: pin({ fetchedAt: T0 + MINUTE, recordId: "" }), checkAt: T0 + 40 * DAY }),
  ],
  check(input) {
    const { value, error } = attempt(() => parseRecord(input, T0, LEAST_LIFETIME), CacheRecordError);
    if (error !== undefined) return;
    const { domain, pin: held, checkAt } = value;
    rule(policyDomain(domain) === domain, "no domain");
    rule(checkAt <= T0 + DAY, "not checked again for more than a day");
    const again = parseRecord(Buffer.from(JSON.stringify(toRecord(value))), T0, LEAST_LIFETIME);
    rule(isDeepStrictEqual(again, value), "written and read, it is another");
    if (held === undefined) return;
    rule(held.fetchedAt <= T0, "fetched in the future");
    rule(held.expiresAt > held.fetchedAt && held.expiresAt <= T0 + HORIZON, "holds for ever");
    rule(held.renewAt <= Math.max(held.expiresAt, T0) + HOUR, "never renewed");
    if (held.mx.length > 0) checkReplies({ domain, mode: "enforce", mx: held.mx, text: held.text });
  },
};
