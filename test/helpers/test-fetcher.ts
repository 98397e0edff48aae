/** A policy fetcher that finds every policy host on loopback. */
import {
  HttpsPolicyFetcher,
  type HttpsPolicyFetcherOptions,
} from "../../src/net/policy-host/https-policy-fetcher.ts";
import { FetchError } from "../../src/net/policy-host/policy-fetcher.ts";
import { DnsError, type DnsErrorCode, type RecordType, type Resolver } from "../../src/net/dns/resolver.ts";
import type { CertificateAuthority } from "./certificates.ts";

/** For each address type: the addresses of every name, or the error. What is left out is empty. */
export type Addresses = Partial<Record<"A" | "AAAA", readonly string[] | DnsErrorCode>>;

/** A resolver that gives every name the same addresses. */
export function resolverOf(addresses: Addresses): Resolver {
  return {
    resolve(name, type: RecordType) {
      const found = type === "A" || type === "AAAA" ? (addresses[type] ?? []) : [];
      if (typeof found === "string")
        return Promise.reject(new DnsError(found, `${type} of ${name}: ${found}`));
      return Promise.resolve({
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Both address types are strings.
        records: found as never,
        canonicalName: name,
        nameMissing: false,
        ttl: 60,
        authenticated: false,
      });
    },
  };
}

export interface TestFetcherOptions extends Partial<HttpsPolicyFetcherOptions> {
  readonly ca: CertificateAuthority;
  readonly port: number;
}

export function testFetcher({ ca, ...options }: TestFetcherOptions): HttpsPolicyFetcher {
  return new HttpsPolicyFetcher({
    resolver: resolverOf({ A: ["127.0.0.1"] }),
    userAgent: "stsmapd/0.0 (+https://stsmapd.example/)",
    timeoutMs: 10_000,
    connectTimeoutMs: 10_000,
    maxBytes: 65_536,
    concurrency: 64,
    perAddress: 2,
    proxyFor: () => undefined,
    allowAddresses: ["127.0.0.0/8", "::1"],
    extraRoots: [ca.pem],
    now: () => performance.now(),
    ...options,
  });
}

/** The FetchError of a fetch that must fail. */
export async function failureOf(fetch: Promise<unknown>): Promise<FetchError> {
  try {
    await fetch;
  } catch (error) {
    if (error instanceof FetchError) return error;
    throw error;
  }
  throw new Error("the fetch did not fail");
}
