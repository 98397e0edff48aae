/**
 * What the collector of tlsrpt-reporter takes: one JSON object a datagram, in the keys of libtlsrpt. A wrong type in it can
 * stop the collector for everybody, so it is checked once more before it leaves.
 */
import * as z from "zod/mini";
import { policyStrings } from "../../policy/postfix-reply.ts";
import type { FetchFailureClass, FetchFailureReason } from "../policy-host/policy-fetcher.ts";

/** Why a domain's policy could not be had, in words for its owner. */
export interface PolicyFailure {
  readonly failureClass: FetchFailureClass;
  readonly reason: FetchFailureReason | "record-invalid";
  /** May hold anything the other side sent. */
  readonly information: string;
}

export interface PolicyFailureReport {
  /** In A-labels. */
  readonly domain: string;
  /** The domain's TLSRPT record, to the letter. */
  readonly record: string;
  readonly failure: PolicyFailure;
  /** The policy that is applied all the same. */
  readonly cached: { readonly text: string; readonly mx: readonly string[] } | undefined;
}

/** The result types of RFC 8460 §4.3.2, as libtlsrpt numbers them. */
const CODES = {
  "sts-policy-fetch-error": 301,
  "sts-policy-invalid": 302,
  "sts-webpki-invalid": 303,
} as const satisfies Record<FetchFailureClass, number>;

const POLICY_TYPE_STS = 2;
const FALLBACK = "+fallback-to-cached-policy";
const MAX_INFORMATION = 400;

const domainName = z.string().check(z.regex(/^[a-z0-9_.-]{1,253}$/));
const texts = z.array(z.string().check(z.minLength(1))).check(z.minLength(1));

const failureDetail = z.strictObject({
  c: z.literal(Object.values(CODES)),
  a: z.string().check(z.regex(/^[\x20-\x7e]+$/), z.maxLength(MAX_INFORMATION)),
  f: z.string().check(z.regex(/^[a-z0-9+-]{1,100}$/)),
});

const policy = z.strictObject({
  "policy-type": z.literal(POLICY_TYPE_STS),
  "policy-domain": domainName,
  "policy-string": z.optional(texts),
  "mx-host": z.optional(texts),
  "failure-details": z.tuple([failureDetail]),
  t: z.literal(1),
  f: z.literal(1),
});

const datagram = z.strictObject({
  dpv: z.literal("1"),
  d: domainName,
  pr: z.string().check(z.regex(/^v=TLSRPTv1;[\t\x20-\x7e]*$/)),
  policies: z.tuple([policy]),
});

export type TlsrptDatagram = z.infer<typeof datagram>;

/**
 * The datagram of one failed attempt, which counts as one failed session. Keys and policy lines stand as Postfix sends them,
 * because the collector adds up only what is alike to the letter.
 */
export function tlsrptDatagram({ domain, record, failure, cached }: PolicyFailureReport): TlsrptDatagram {
  const lines = cached === undefined ? [] : policyStrings(cached.text);
  const patterns = [...new Set(cached?.mx)];
  return {
    dpv: "1",
    d: domain,
    pr: record,
    policies: [
      {
        "policy-type": POLICY_TYPE_STS,
        "policy-domain": domain,
        ...(lines.length > 0 && { "policy-string": lines }),
        ...(patterns.length > 0 && { "mx-host": patterns }),
        "failure-details": [
          {
            c: CODES[failure.failureClass],
            a: printable(failure.information),
            f: failure.reason + (cached === undefined ? "" : FALLBACK),
          },
        ],
        t: 1,
        f: 1,
      },
    ],
  };
}

/** The octets to send. Throws what zod throws where the types do not hold. */
export function encodeDatagram(value: TlsrptDatagram): Uint8Array {
  return Buffer.from(JSON.stringify(datagram.parse(value)), "utf8");
}

function printable(text: string): string {
  return text.slice(0, MAX_INFORMATION).replaceAll(/[^\x20-\x7e]/g, "?") || "?";
}
