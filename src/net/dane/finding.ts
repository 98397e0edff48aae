/** What DANE (RFC 7672) says about a domain: the facts of each MX host, and what follows from them together. */
import type { DnsError, RecordType, TlsaRecord } from "../dns/resolver.ts";

/** A question that DNS did not answer. */
export interface DaneFailure {
  readonly name: string;
  readonly type: RecordType;
  readonly error: DnsError;
}

/** One TLSA record, and why it cannot be used, if so. */
export interface TlsaFinding {
  readonly record: TlsaRecord;
  readonly problem: string | undefined;
}

/**
 * - `secure-tlsa`: authenticated TLSA records, at least one usable.
 * - `unusable-tlsa`: authenticated TLSA records, none usable. Postfix's `dane` then encrypts without verifying.
 * - `no-tlsa`: authenticated that there are none.
 * - `insecure`: the answer about TLSA was not authenticated, or that about the address, with no signed alias leading there.
 * - `no-address`: no such host; no mail can go there.
 * - `unknown`: DNS could not be asked, see `failure`.
 */
export type DaneHostState =
  | "secure-tlsa"
  | "unusable-tlsa"
  | "no-tlsa"
  | "insecure"
  | "no-address"
  | "unknown";

export interface DaneHost {
  readonly name: string;
  readonly preference: number;
  /** The name after all aliases; the name itself where no address was found. */
  readonly canonicalName: string;
  readonly addressSecure: boolean;
  readonly state: DaneHostState;
  /** Where the TLSA records were found or last asked for, `_25._tcp.…`; undefined where they were not asked for. */
  readonly tlsaName: string | undefined;
  /** Authenticated records only. */
  readonly tlsa: readonly TlsaFinding[];
  /** Set if and only if the state is `unknown`. */
  readonly failure: DaneFailure | undefined;
}

/**
 * - `mx`: it has MX records. `implicit`: it has none, and is its own host (RFC 5321 §5.1). `null`: it takes no mail
 *   (RFC 7505). `no-domain`: it does not exist. `unknown`: DNS could not be asked. `not-asked`: the AD bit is not trusted.
 */
export type MxSetKind = "mx" | "implicit" | "null" | "no-domain" | "unknown" | "not-asked";

export interface MxSet {
  readonly kind: MxSetKind;
  /** Whether the answer, "there is none" included, was authenticated. */
  readonly secure: boolean;
  /** Hosts beyond the bound, which were not looked at. */
  readonly leftOut: number;
}

/**
 * - `none`: no host has usable DANE. `all`: every host that has an address does, and the MX set is secure.
 * - `some`: anything between; Postfix's `dane` verifies the hosts that have it.
 * - `unknown`: it hangs on a question that DNS did not answer.
 */
export type DaneSummary =
  | { readonly state: "none" | "some" | "all" }
  | {
      readonly state: "unknown";
      readonly failure: DaneFailure;
      /** Names record and host, in one line of ASCII: `TLSA of _25._tcp.mx.example.com: servfail`. */
      readonly reason: string;
    };

export interface DaneFinding {
  readonly domain: string;
  readonly mx: MxSet;
  /** In the order of preference. */
  readonly hosts: readonly DaneHost[];
  readonly summary: DaneSummary;
  /** Seconds for which all of this holds. */
  readonly ttl: number;
}

/** Why Postfix could not verify a certificate by this record, undefined where it could (RFC 7672 §3.1, RFC 6698 §2.1). */
export function tlsaProblem({ usage, selector, matchingType, data }: TlsaRecord): string | undefined {
  if (usage !== 2 && usage !== 3) return `usage ${usage} is not for SMTP`;
  if (selector !== 0 && selector !== 1) return `unknown selector ${selector}`;
  if (matchingType === 0) return isDerSequence(data) ? undefined : "no certificate or key in DER";
  const length = DIGEST_LENGTH.get(matchingType);
  if (length === undefined) return `unknown matching type ${matchingType}`;
  return data.length === length ? undefined : `a digest of ${data.length} octets instead of ${length}`;
}

/** SHA2-256 and SHA2-512, in octets. */
const DIGEST_LENGTH: ReadonlyMap<number, number> = new Map([
  [1, 32],
  [2, 64],
]);

/** Whether the octets are one DER SEQUENCE, all of it and nothing more: the outside of a certificate and of a key. */
function isDerSequence(data: Uint8Array): boolean {
  const [tag, first = 0, ...rest] = data.subarray(0, 6);
  if (tag !== 0x30) return false;
  if (first < 0x80) return data.length === 2 + first;
  const octets = first - 0x80;
  if (octets < 1 || octets > 4) return false;
  const length = rest.slice(0, octets).reduce((sum, octet) => sum * 256 + octet, 0);
  return data.length === 2 + octets + length;
}

/**
 * What the hosts mean together. A host without an address counts for nothing: no mail can go there. A failure makes the
 * whole unknown only where its answer could change it. In an insecure MX set a failed address cannot: no mail goes there
 * meanwhile, DANE cannot be required of it (RFC 7672 §2.2.1), and whoever forges the set must not be able to undo the
 * MTA-STS policy by adding a broken host. TLSA is asked for only of hosts in signed zones, so a failure of that counts.
 */
export function summarise(mx: MxSet, hosts: readonly DaneHost[]): DaneSummary {
  const counted = hosts.filter((host) => host.state !== "no-address");
  const failure = counted.find(
    (host) => host.failure !== undefined && (mx.secure || host.tlsaName !== undefined),
  )?.failure;
  const known = counted.filter((host) => host.failure === undefined);
  const secure = known.filter((host) => host.state === "secure-tlsa").length;
  const mayBeAll = mx.secure && mx.leftOut === 0 && secure === known.length;
  if (secure > 0 && !mayBeAll) return { state: "some" };
  if (failure !== undefined) return unknown(failure);
  return { state: secure > 0 ? "all" : "none" };
}

/** The summary for a question that everything hangs on. */
export function unknown(failure: DaneFailure): DaneSummary {
  return { state: "unknown", failure, reason: `${failure.type} of ${failure.name}: ${failure.error.code}` };
}
