/** The domains of the bench, and what is right to answer about them. `#` stands for a number. */

export const DOMAIN = "d#.bench.test";

/** Domains without a record. */
export const UNKNOWN = "u#.bench.test";

const ID = "20261122";

/** The longest that RFC 8461 §3.2 allows, so that nothing falls due in a run. */
export const MAX_AGE = 31_557_600;

export const RECORD = `v=STSv1; id=${ID};`;

export function domainOf(number: number): string {
  return DOMAIN.replace("#", String(number));
}

/** The policy file of `domain`. */
export function policyOf(domain: string): string {
  return ["version: STSv1", "mode: enforce", `mx: mx.${domain}`, `max_age: ${MAX_AGE}`, ""].join("\r\n");
}

export const RECORD_ID = ID;

const TEXT = `secure match=mx.${DOMAIN} servername=hostname`;

/** Replies without their framing. */
export const REPLIES = {
  socketmap: { known: `OK ${TEXT}`, unknown: "NOTFOUND " },
  tcp_table: { known: `200 ${TEXT.replaceAll(" ", "%20")}`, unknown: "500 not%20found" },
};

export type Protocol = keyof typeof REPLIES;
