/** Constructs what reaches out: DNS, policy hosts, DANE. The daemon and `check` share it. */
import type { Config } from "./config.ts";
import { NO_DANE } from "./lookup/dane-source.ts";
import type { DaneSource } from "./lookup/dane-source.ts";
import { DnsClient } from "./net/dns-client.ts";
import type { DnsServerAddress } from "./net/dns-transport.ts";
import { HttpsPolicyFetcher } from "./net/https-policy-fetcher.ts";
import type { PolicyFetcher } from "./net/policy-fetcher.ts";
import { proxySelector } from "./net/proxy.ts";
import { ResolvConfFile } from "./net/resolv-conf.ts";
import type { Resolver } from "./net/resolver.ts";
import { readRootsFile } from "./net/trusted-roots.ts";
import { USER_AGENT } from "./version.ts";

export interface Network {
  readonly resolver: Resolver;
  readonly fetcher: PolicyFetcher;
  readonly dane: DaneSource;
  /** The name servers in force at this moment. */
  readonly nameServers: () => readonly DnsServerAddress[];
}

/**
 * @param env for https_proxy and no_proxy
 * @throws {ProxyError | TrustedRootsError} when proxy URL or CA file cannot be used
 */
export function createNetwork({ dns, fetch }: Config, env: NodeJS.ProcessEnv): Network {
  const resolvConf = new ResolvConfFile();
  const nameServers = dns.servers.length > 0 ? () => dns.servers : () => resolvConf.current().servers;
  const resolver = new DnsClient({ servers: nameServers, timeoutMs: dns.timeout, attempts: dns.attempts });
  const proxySetting =
    fetch.proxy.kind === "url" ? fetch.proxy.url : fetch.proxy.kind === "none" ? "none" : undefined;
  const fetcher = new HttpsPolicyFetcher({
    resolver,
    userAgent: USER_AGENT,
    timeoutMs: fetch.timeout,
    maxBytes: fetch.maxSize,
    concurrency: fetch.concurrency,
    perAddress: fetch.perAddress,
    proxyFor: proxySelector(proxySetting, env),
    allowAddresses: fetch.allowAddresses,
    extraRoots: fetch.caFile === undefined ? [] : readRootsFile(fetch.caFile),
    port: fetch.port,
    now: () => performance.now(),
  });
  return { resolver, fetcher, dane: NO_DANE, nameServers };
}
