/** Constructs what reaches out: DNS, DANE discovery, policy hosts. The daemon and `check` share it. */
import type { Config } from "../config.ts";
import { checkValidation, trustsAd } from "../net/dns/ad-trust.ts";
import type { Validation } from "../net/dns/ad-trust.ts";
import type { DaneFinding } from "../net/dane/finding.ts";
import { discoverDane } from "../net/dane/discovery.ts";
import { DnsClient } from "../net/dns/client.ts";
import { HttpsPolicyFetcher } from "../net/policy-host/https-policy-fetcher.ts";
import type { PolicyFetcher } from "../net/policy-host/policy-fetcher.ts";
import { proxySelector } from "../net/policy-host/proxy.ts";
import { ResolvConfFile } from "../net/dns/resolv-conf.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { readRootsFile } from "../net/policy-host/trusted-roots.ts";
import { USER_AGENT } from "../version.ts";

export interface Network {
  readonly resolver: Resolver;
  readonly fetcher: PolicyFetcher;
  /** Loads what the first fetch needs. Rejects where it cannot. */
  readonly prepare: () => Promise<void>;
  /** What is under way, and what waits for its turn. */
  readonly queues: () => Readonly<Record<"dnsWaiting" | "fetchesRunning" | "fetchesWaiting", number>>;
  /** Whether DANE is looked for and the AD bit of the name servers in force may be trusted. */
  readonly trustsAd: () => boolean;
  /** The facts of a domain's DANE state. Never rejects. */
  readonly discoverDane: (domain: string, mayValidate: boolean) => Promise<DaneFinding>;
  /** Asks for the configured signed name. Never rejects. */
  readonly testValidation: () => Promise<Validation>;
}

/**
 * @param env for https_proxy and no_proxy
 * @param signal ends DANE discoveries and self-tests
 * @param observe puts something between the resolver and all that ask it
 * @throws {ProxyError | TrustedRootsError} when proxy URL or CA file cannot be used
 */
export function createNetwork(
  { dns, dane, fetch }: Config,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  observe: (resolver: Resolver) => Resolver = (resolver) => resolver,
): Network {
  const resolvConf = new ResolvConfFile();
  const hasOwnServers = dns.servers.length > 0;
  const servers = hasOwnServers ? () => dns.servers : () => resolvConf.current().servers;
  const client = new DnsClient({ servers, timeoutMs: dns.timeout, attempts: dns.attempts });
  const resolver = observe(client);
  const fetcher = createFetcher(fetch, resolver, env);
  const isAdTrusted = () => {
    const isDeclared = !hasOwnServers && resolvConf.current().trustAd;
    return dane.enabled && trustsAd(dns.trustAd, servers(), isDeclared);
  };
  return {
    resolver,
    fetcher,
    prepare: () => fetcher.prepare(),
    queues: () => ({
      dnsWaiting: client.waiting,
      fetchesRunning: fetcher.running,
      fetchesWaiting: fetcher.waiting,
    }),
    trustsAd: isAdTrusted,
    discoverDane: (domain, mayValidate) => {
      const { maxHosts, parallel } = dane;
      return discoverDane(domain, {
        resolver,
        trustAd: mayValidate && isAdTrusted(),
        signal,
        maxHosts,
        parallel,
      });
    },
    testValidation: () =>
      checkValidation(resolver, { name: dane.selfTestName, type: dane.selfTestType, signal }),
  };
}

function createFetcher(
  fetch: Config["fetch"],
  resolver: Resolver,
  env: NodeJS.ProcessEnv,
): HttpsPolicyFetcher {
  const proxySetting = {
    url: fetch.proxy.kind === "url" ? fetch.proxy.url : undefined,
    none: "none",
    environment: undefined,
  };
  return new HttpsPolicyFetcher({
    resolver,
    userAgent: USER_AGENT,
    timeoutMs: fetch.timeout,
    connectTimeoutMs: fetch.connectTimeout,
    maxBytes: fetch.maxSize,
    concurrency: fetch.concurrency,
    perAddress: fetch.perAddress,
    proxyFor: proxySelector(proxySetting[fetch.proxy.kind], env),
    allowAddresses: fetch.allowAddresses,
    extraRoots: fetch.caFile === undefined ? [] : readRootsFile(fetch.caFile),
    port: fetch.port,
    now: () => performance.now(),
  });
}
