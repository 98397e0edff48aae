/** The domains of the soak, and what is right to answer about them. */

/** The time of a record, in seconds: how soon a changed policy is noticed. */
export const TTL = 300;
/** Of MX hosts and addresses. */
export const HOST_TTL = 3_600;

/** One part in so many of the known domains changes its policy at a time. */
const CHANGING_PART = 20;

/** Known domains whose number is a multiple of this have policies that must be renewed within the hour. */
const SHORT_PART = 10;
const SHORT_MAX_AGE = 3_600;
const LONG_MAX_AGE = 604_800;

/** `known`: in the cache before all begins. `fresh`: with a policy, never asked for before. `bare`: without one. */
type Kind = "known" | "fresh" | "bare";

export interface SoakDomain {
  readonly kind: Kind;
  readonly number: number;
}

export function nameOf({ kind, number }: SoakDomain): string {
  return `${kind}${number}.soak.test`;
}

/** The domain that `name` belongs to, be it itself or a host below. */
export function domainOf(name: string): SoakDomain | undefined {
  const [, kind, number] = /(?:^|\.)(known|fresh|bare)([0-9]+)\.soak\.test$/.exec(name.toLowerCase()) ?? [];
  if (kind !== "known" && kind !== "fresh" && kind !== "bare") return undefined;
  return { kind, number: Number(number) };
}

/** How often the policy of the domain has changed once `changes` parts of all domains have, one after the other. */
export function versionOf({ kind, number }: SoakDomain, changes: number): number {
  if (kind !== "known") return 0;
  const turn = number % CHANGING_PART;
  return Math.floor((changes - turn) / CHANGING_PART) + (turn === 0 ? 0 : 1);
}

export function recordOf(version: number): string {
  return `v=STSv1; id=${version};`;
}

export function maxAgeOf({ kind, number }: SoakDomain): number {
  return kind === "known" && number % SHORT_PART === 0 ? SHORT_MAX_AGE : LONG_MAX_AGE;
}

export function mxOf(domain: SoakDomain, version: number): string {
  return `mx${version}.${nameOf(domain)}`;
}

export function policyOf(domain: SoakDomain, version: number): string {
  const lines = ["version: STSv1", "mode: enforce", `mx: ${mxOf(domain, version)}`];
  return [...lines, `max_age: ${maxAgeOf(domain)}`, ""].join("\r\n");
}

/** The version of the policy that Postfix was told of; undefined where the text is no policy of this domain. */
export function toldVersion(domain: SoakDomain, text: string): number | undefined {
  const version = /^secure match=mx([0-9]+)\./.exec(text)?.[1];
  if (version === undefined) return undefined;
  const right = `secure match=${mxOf(domain, Number(version))} servername=hostname`;
  return text === right ? Number(version) : undefined;
}
