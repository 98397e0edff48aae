/** One domain looked at from all sides, with every step kept: what `stsmapd check` shows. Nothing is cached or stored. */
import type { Validation } from "../net/dns/ad-trust.ts";
import type { DaneFinding } from "../net/dane/finding.ts";
import { FetchError } from "../net/policy-host/policy-fetcher.ts";
import type { FetchTrace, PolicyFetcher } from "../net/policy-host/policy-fetcher.ts";
import { DnsError } from "../net/dns/resolver.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { tlsrptDatagram } from "../net/tlsrpt/datagram.ts";
import type { PolicyFailure, TlsrptDatagram } from "../net/tlsrpt/datagram.ts";
import { policyDomain } from "../policy/domain.ts";
import type { MapProfile } from "../policy/map-profile.ts";
import { overrideReply } from "../policy/override.ts";
import type { Override } from "../policy/override.ts";
import { mxPatternMatches } from "../policy/policy.ts";
import type { Policy } from "../policy/policy.ts";
import { postfixReply } from "../policy/postfix-reply.ts";
import type { Reply } from "../policy/reply.ts";
import { verdict } from "../policy/verdict.ts";
import type { DaneState, PolicyFinding, Verdict } from "../policy/verdict.ts";
import { daneState } from "./dane/dane-source.ts";
import { discoverRecord } from "./discovery.ts";
import type { RecordDiscovery } from "./discovery.ts";
import type { LookupRules, MapProfiles } from "./maps.ts";
import { discoverTlsrptRecord } from "./tlsrpt/discovery.ts";
import type { TlsrptDiscovery } from "./tlsrpt/discovery.ts";
import { invalidRecord, reportableFetchFailure } from "./tlsrpt/failure.ts";

export interface Examination {
  /** The next hop as it was given. */
  readonly key: string;
  /** Undefined where the key is no domain; then nothing was asked. */
  readonly domain: string | undefined;
  /** Goes before all that is found. */
  readonly override?: Override;
  readonly record?: RecordDiscovery;
  /** Undefined where no record allowed a fetch. */
  readonly fetch?: FetchExamination;
  readonly mx?: MxExamination;
  readonly dane?: DaneFinding;
  /** Whether the resolver validates DNSSEC, on which `dane` rests. */
  readonly validation?: ResolverValidation;
  readonly tlsrpt?: TlsrptExamination;
  /** What each map answers. */
  readonly answers: readonly MapAnswer[];
}

/** `ad-not-trusted`: it was not asked, for its AD bit would mean nothing to us. */
export type ResolverValidation = Validation | { readonly state: "ad-not-trusted" };

export type FetchExamination =
  | { readonly kind: "fetched"; readonly policy: Policy; readonly text: string; readonly trace: FetchTrace }
  | { readonly kind: "failed"; readonly error: FetchError };

export type MxExamination =
  | { readonly kind: "hosts"; readonly hosts: readonly MxHost[] }
  /** No MX records: the domain itself is its mail host (RFC 5321 §5.1). */
  | { readonly kind: "implicit"; readonly hosts: readonly MxHost[] }
  /** RFC 7505: the domain takes no mail. */
  | { readonly kind: "null" }
  | { readonly kind: "failed"; readonly error: DnsError };

export interface MxHost {
  readonly host: string;
  readonly preference: number;
  /** Whether the policy names it; undefined without a policy. */
  readonly allowed: boolean | undefined;
}

export interface TlsrptExamination {
  readonly record: TlsrptDiscovery;
  /** What a daemon that holds no policy would report; undefined: nothing. */
  readonly report: { readonly failure: PolicyFailure; readonly datagram: TlsrptDatagram } | undefined;
}

export interface MapAnswer {
  readonly map: string;
  readonly profile: MapProfile;
  /** Undefined where the override answers. */
  readonly verdict: Verdict | undefined;
  readonly reply: Reply;
}

export interface ExaminationDeps extends LookupRules {
  readonly resolver: Resolver;
  readonly fetcher: PolicyFetcher;
  /** Never rejects. */
  readonly discoverDane: (domain: string) => Promise<DaneFinding>;
  /** Whether the resolver's AD bit may be trusted. */
  readonly trustsAd: () => boolean;
  /** Never rejects. */
  readonly testValidation: () => Promise<Validation>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Whether the domain has a policy at this moment, or whether that cannot be told. */
export type PolicyPresence = "policy" | "no-policy" | "unknown";

/** @param key a next hop as Postfix writes it, one char per octet (latin1) */
export async function examine(
  key: string,
  deps: ExaminationDeps,
  signal?: AbortSignal,
): Promise<Examination> {
  const domain = policyDomain(key);
  if (domain === undefined)
    return { key, domain, answers: answersFor({ kind: "absent" }, { kind: "none" }, deps.maps) };
  const override = deps.overrides.find(domain, deps.now());
  const [record, mxAnswer, dane, validation, tlsrptRecord] = await Promise.all([
    discoverRecord(domain, deps.resolver, signal),
    discoverMx(domain, deps.resolver, signal),
    deps.discoverDane(domain),
    deps.trustsAd() ? deps.testValidation() : ({ state: "ad-not-trusted" } as const),
    discoverTlsrptRecord(domain, deps.resolver, signal),
  ]);
  const fetch = record.kind === "record" ? await fetchPolicy(domain, deps.fetcher, signal) : undefined;
  const policy = fetch?.kind === "fetched" ? fetch.policy : undefined;
  return {
    key,
    domain,
    ...(override !== undefined && { override }),
    record,
    ...(fetch !== undefined && { fetch }),
    mx: judgeMx(mxAnswer, policy),
    dane,
    validation,
    tlsrpt: judgeTlsrpt(domain, tlsrptRecord, failureOf(domain, record, fetch)),
    answers:
      override === undefined
        ? answersFor(findingOf(domain, record, fetch), daneState(dane), deps.maps)
        : overriddenAnswers(override, domain, deps.maps),
  };
}

export function policyPresence({ record, fetch }: Examination): PolicyPresence {
  if (record?.kind === "dns-failure" || fetch?.kind === "failed") return "unknown";
  return fetch?.kind === "fetched" ? "policy" : "no-policy";
}

function failureOf(
  domain: string,
  record: RecordDiscovery,
  fetch: FetchExamination | undefined,
): PolicyFailure | undefined {
  if (record.kind === "invalid") return invalidRecord(domain, record.reason);
  return fetch?.kind === "failed" ? reportableFetchFailure(domain, fetch.error) : undefined;
}

function judgeTlsrpt(
  domain: string,
  record: TlsrptDiscovery,
  failure: PolicyFailure | undefined,
): TlsrptExamination {
  if (record.kind !== "record" || failure === undefined) return { record, report: undefined };
  const datagram = tlsrptDatagram({ domain, record: record.text, failure, cached: undefined });
  return { record, report: { failure, datagram } };
}

function findingOf(
  domain: string,
  record: RecordDiscovery,
  fetch: FetchExamination | undefined,
): PolicyFinding {
  if (record.kind === "dns-failure") return { kind: "unknown", domain, reason: record.error.message };
  if (fetch?.kind !== "fetched") return { kind: "absent" };
  const { mode, mx } = fetch.policy;
  return { kind: "policy", policy: { domain, mode, mx, text: fetch.text } };
}

function answersFor(finding: PolicyFinding, dane: DaneState, maps: MapProfiles): MapAnswer[] {
  return Array.from(maps, ([map, profile]) => {
    const decided = verdict(finding, dane, profile);
    return { map, profile, verdict: decided, reply: postfixReply(decided, profile.attributes) };
  });
}

function overriddenAnswers(override: Override, domain: string, maps: MapProfiles): MapAnswer[] {
  return Array.from(maps, ([map, profile]) => {
    return { map, profile, verdict: undefined, reply: overrideReply(override, domain, profile) };
  });
}

async function fetchPolicy(
  domain: string,
  fetcher: PolicyFetcher,
  signal?: AbortSignal,
): Promise<FetchExamination> {
  try {
    return { kind: "fetched", ...(await fetcher.fetch(domain, signal)) };
  } catch (error) {
    if (error instanceof FetchError) return { kind: "failed", error };
    throw error;
  }
}

async function discoverMx(domain: string, resolver: Resolver, signal?: AbortSignal): Promise<MxExamination> {
  try {
    const { records } = await resolver.resolve(domain, "MX", signal);
    if (records.length === 0)
      return { kind: "implicit", hosts: [{ host: domain, preference: 0, allowed: undefined }] };
    if (records.every(({ exchange }) => exchange === "")) return { kind: "null" };
    const hosts = records.map(({ exchange, preference }) => ({
      host: exchange.toLowerCase(),
      preference,
      allowed: undefined,
    }));
    return { kind: "hosts", hosts: hosts.sort((a, b) => a.preference - b.preference) };
  } catch (error) {
    if (error instanceof DnsError) return { kind: "failed", error };
    throw error;
  }
}

/** RFC 8461 §4.1. */
function judgeMx(mx: MxExamination, policy: Policy | undefined): MxExamination {
  if (policy === undefined || !("hosts" in mx)) return mx;
  const isAllowed = (host: string) => policy.mx.some((pattern) => mxPatternMatches(pattern, host));
  return { ...mx, hosts: mx.hosts.map((mxHost) => ({ ...mxHost, allowed: isAllowed(mxHost.host) })) };
}
