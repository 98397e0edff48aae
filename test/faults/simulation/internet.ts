/** DNS and policy hosts of the domains, and all that befalls them. Stands in for what lies behind Resolver and PolicyFetcher. */
import { DnsError, type DnsErrorCode, type Resolver } from "../../../src/net/dns/resolver.ts";
import { FetchQueue } from "../../../src/net/policy-host/fetch-queue.ts";
import {
  FetchError,
  type FetchFailureReason,
  type PolicyFetcher,
} from "../../../src/net/policy-host/policy-fetcher.ts";
import type { PolicyMode } from "../../../src/policy/policy.ts";
import type { SeededRandom } from "../../helpers/seeded-random.ts";
import { DAY, HOUR, SECOND } from "../../helpers/clock.ts";

export interface PublishedPolicy {
  readonly mode: PolicyMode;
  readonly mx: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
}

export interface Site {
  readonly domain: string;
  readonly address: string;
  /** The record's id; undefined while there is no record. */
  id: string | undefined;
  policy: PublishedPolicy;
  dns: "sound" | "slow" | DnsErrorCode;
  host: "sound" | "slow" | FetchFailureReason;
}

/** What the model of the test sees on the wire. */
export interface WireTap {
  asked(domain: string): void;
  /** DNS answered: with the id, or undefined where there is no record; or it did not. */
  told(domain: string, id: string | undefined): void;
  untold(domain: string): void;
  fetching(domain: string): void;
  connected(domain: string): void;
  disconnected(domain: string): void;
  fetched(domain: string, policy: PublishedPolicy): void;
  failed(domain: string, reason: FetchFailureReason): void;
}

export const CONCURRENCY = 4;
export const PER_ADDRESS = 2;
/** Milliseconds; longer than any fetch takes here, so that nobody has to give way. */
const FAIR = 600_000;
const ADDRESSES = 5;
/** Seconds. */
const TTL = 300;
/** The part of what is broken that is mended while one thing more breaks. */
const MENDED = 0.08;
const DNS_FAILURES: readonly DnsErrorCode[] = ["timeout", "network", "servfail", "refused", "malformed"];
const HOST_FAILURES: readonly FetchFailureReason[] = [
  "connect-failed",
  "timeout",
  "status-404",
  "status-500",
  "policy-syntax",
  "certificate-expired",
  "dns-error",
  "local-error",
  "media-type",
];

export class Internet {
  readonly sites: readonly Site[];
  /** Nothing of it can be reached. */
  isDown = false;
  readonly #random: SeededRandom;
  readonly #tap: WireTap;
  #lastId = 0;

  constructor(domains: number, random: SeededRandom, tap: WireTap) {
    this.#random = random;
    this.#tap = tap;
    this.sites = Array.from({ length: domains }, (_, n) => ({
      domain: `d${n}.example`,
      address: `192.0.2.${n % ADDRESSES}`,
      id: random.chance(0.9) ? this.#newId() : undefined,
      policy: this.#newPolicy(),
      dns: "sound",
      host: "sound",
    }));
  }

  /** The owner of a domain does something, or something is done to the owner. */
  befall(): void {
    const random = this.#random;
    const site = random.pick(this.sites);
    const event = random.next();
    if (event < 0.25) {
      site.policy = this.#newPolicy();
      site.id = this.#newId();
    } else if (event < 0.35) site.id = this.#newId();
    else if (event < 0.4) site.id = undefined;
    else if (event < 0.65) site.host = random.pick(["slow", ...HOST_FAILURES]);
    else if (event < 0.85) site.dns = random.pick(["slow", ...DNS_FAILURES]);
    else site.id ??= this.#newId();
    // What broke is mended some day.
    for (const broken of this.sites) {
      if (random.chance(MENDED)) broken.host = "sound";
      if (random.chance(MENDED)) broken.dns = "sound";
    }
  }

  /** The network of a process that has just started. */
  connect(): { resolver: Resolver; fetcher: PolicyFetcher } {
    const queue = new FetchQueue({ concurrency: CONCURRENCY, perAddress: PER_ADDRESS, fairMs: FAIR });
    return {
      resolver: { resolve: (name, _, signal) => this.#resolve(name.slice("_mta-sts.".length), signal) },
      fetcher: { fetch: (domain, signal) => this.#fetch(domain, queue, signal) },
    };
  }

  async #resolve(domain: string, signal: AbortSignal | undefined): Promise<never> {
    const site = this.#site(domain);
    this.#tap.asked(domain);
    const health = this.isDown ? "timeout" : site.dns;
    const delay =
      health === "slow" ? 30 * SECOND : health === "timeout" ? 15 * SECOND : 1 + this.#random.below(200);
    const isOver = await elapsed(delay, signal);
    if (!isOver || (health !== "sound" && health !== "slow")) {
      this.#tap.untold(domain);
      const code = !isOver || health === "sound" || health === "slow" ? "aborted" : health;
      throw new DnsError(code, `_mta-sts.${domain}: ${code}`);
    }
    const { id } = site;
    this.#tap.told(domain, id);
    const records = id === undefined ? [] : [`v=STSv1; id=${id};`];
    const answer = {
      records,
      canonicalName: `_mta-sts.${domain}`,
      nameMissing: id === undefined,
      ttl: TTL,
      authenticated: false,
    };
    // Of the record type that was asked for, which is always TXT.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return answer as never;
  }

  async #fetch(domain: string, queue: FetchQueue, signal?: AbortSignal): ReturnType<PolicyFetcher["fetch"]> {
    this.#tap.fetching(domain);
    const site = this.#site(domain);
    const refuse = (reason: FetchFailureReason): FetchError => {
      this.#tap.failed(domain, reason);
      const failureClass = reason === "policy-syntax" ? "sts-policy-invalid" : "sts-policy-fetch-error";
      return new FetchError(failureClass, reason, `policy host mta-sts.${domain}: ${reason}`, TRACE);
    };
    const release = await queue
      .acquire([site.address], signal ?? new AbortController().signal, () => {})
      .catch(() => undefined);
    if (release === undefined) throw refuse("aborted");
    this.#tap.connected(domain);
    try {
      const health = this.isDown ? "timeout" : site.host;
      const delay =
        health === "slow" ? 9 * SECOND : health === "timeout" ? 10 * SECOND : 5 + this.#random.below(2_000);
      if (!(await elapsed(delay, signal))) throw refuse("aborted");
      if (health !== "sound" && health !== "slow") throw refuse(health);
      const { policy } = site;
      this.#tap.fetched(domain, policy);
      return { policy, text: policyText(policy), trace: TRACE };
    } finally {
      this.#tap.disconnected(domain);
      release();
    }
  }

  #site(domain: string): Site {
    const site = this.sites.find((candidate) => candidate.domain === domain);
    if (site === undefined) throw new TypeError(`nobody may ask for ${domain}`);
    return site;
  }

  #newId(): string {
    return `id${++this.#lastId}`;
  }

  #newPolicy(): PublishedPolicy {
    const random = this.#random;
    const n = random.below(1_000_000);
    const lifetimes = [2 * HOUR, DAY / 2, DAY, DAY, 3 * DAY, 3 * DAY, 7 * DAY, 7 * DAY, 7 * DAY, 30 * DAY];
    return {
      mode: random.pick(["enforce", "enforce", "enforce", "testing", "none"]),
      mx: [`mx${n}.example`],
      maxAge: random.pick(lifetimes) / SECOND,
    };
  }
}

const TRACE = { url: "https://mta-sts.example/", durationMs: 1 };

function policyText({ mode, mx, maxAge }: PublishedPolicy): string {
  return `version: STSv1\nmode: ${mode}\n${mx.map((host) => `mx: ${host}\n`).join("")}max_age: ${maxAge}\n`;
}

/** False when the signal fired first. */
function elapsed(milliseconds: number, signal?: AbortSignal): Promise<boolean> {
  if (signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const abort = (): void => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve(true);
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
