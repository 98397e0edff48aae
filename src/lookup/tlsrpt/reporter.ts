/**
 * Tells the collector of tlsrpt-reporter about policies that could not be had (RFC 8460 §4.3.2.2). All of it happens behind
 * the answer to the client, and whatever goes wrong costs one report.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { LRUCache } from "lru-cache";

import type { DnsError, Resolver } from "../../net/dns/resolver.ts";
import { encodeDatagram, tlsrptDatagram } from "../../net/tlsrpt/datagram.ts";
import type { PolicyFailure } from "../../net/tlsrpt/datagram.ts";
import type { DatagramResult, UnixDatagramSender } from "../../net/unix-datagram.ts";
import type { Pin } from "../../store/store.ts";
import type { LookupEvents, Resolution } from "../events.ts";
import { discoverTlsrptRecord } from "./discovery.ts";
import type { TlsrptDiscovery } from "./discovery.ts";
import { reportableFailure } from "./failure.ts";

/** One call an event. Each failure that could be reported ends in one of the first five, unless we stop before. */
export interface TlsrptEvents {
  /** A report was handed to the collector, or could not be. */
  delivered(domain: string, result: DatagramResult): void;
  /** The domain has no TLSRPT record, or none that is valid: it wants no reports. */
  unwanted(domain: string, reason: string): void;
  /** DNS could not be asked whether the domain wants reports. */
  undecided(domain: string, error: DnsError): void;
  /** Too many reports wait already. */
  dropped(domain: string): void;
  /** A fault of our own. */
  failed(domain: string, error: unknown): void;
  /** The collector takes reports again, for a minute without loss; or no longer, or for another reason than before. */
  collectorChanged(result: DatagramResult): void;
}

export interface TlsrptReporterDeps {
  readonly resolver: Resolver;
  /** Closed by {@link TlsrptReporter.stop}. */
  readonly collector: Pick<UnixDatagramSender, "send" | "close">;
  readonly events: TlsrptEvents;
  /** Milliseconds that only ever pass. */
  readonly now: () => number;
}

/** TXT queries for this at once: few, for they share the resolver with those that clients wait for. */
const CONCURRENCY = 4;
/** Reports that may wait for one of these. */
export const MAX_WAITING = 1_000;

/** Domains whose TLSRPT record is remembered, and the bounds on its TTL in milliseconds. */
const REMEMBERED = 1_000;
const HOLD_MIN = 60_000;
const HOLD_MAX = 86_400_000;

/** Milliseconds without loss after which the collector counts as well: one that is behind takes some and loses some. */
const CALM = 60_000;

interface Job {
  readonly domain: string;
  readonly failure: PolicyFailure;
  readonly pin: Pin | undefined;
}

type Answer = Exclude<TlsrptDiscovery, { kind: "dns-failure" }>;

export class TlsrptReporter {
  readonly #deps: TlsrptReporterDeps;
  readonly #records = new LRUCache<string, { readonly answer: Answer; readonly until: number }>({
    max: REMEMBERED,
  });
  readonly #waiting: Job[] = [];
  readonly #stop = new AbortController();
  #workers = 0;
  #collectorState: DatagramResult["kind"] = "sent";
  #lostAt = -Infinity;

  constructor(deps: TlsrptReporterDeps) {
    this.#deps = deps;
  }

  /** Reports that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Reports the failure that `resolution` ended in, if it did, in a later turn of the event loop. */
  report({ domain, outcome, pin }: Resolution): void {
    if (this.#stop.signal.aborted) return;
    const failure = reportableFailure(domain, outcome);
    if (failure === undefined) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#deps.events.dropped(domain);
      return;
    }
    this.#waiting.push({ domain, failure, pin });
    if (this.#workers < CONCURRENCY) void this.#work();
  }

  /** Gives up what has not been sent. Idempotent. */
  stop(): void {
    this.#stop.abort();
    this.#waiting.length = 0;
    this.#deps.collector.close();
  }

  async #work(): Promise<void> {
    this.#workers++;
    await nextTurn();
    for (let job; (job = this.#waiting.shift()) !== undefined;) {
      try {
        await this.#process(job);
      } catch (error) {
        this.#deps.events.failed(job.domain, error);
      }
    }
    this.#workers--;
  }

  async #process({ domain, failure, pin }: Job): Promise<void> {
    const { events } = this.#deps;
    const found = await this.#record(domain);
    if (this.#stop.signal.aborted) return;
    switch (found.kind) {
      case "dns-failure":
        return events.undecided(domain, found.error);
      case "none":
        return events.unwanted(domain, "no TLSRPT record");
      case "invalid":
        return events.unwanted(domain, found.reason);
      case "record":
        this.#send(
          domain,
          encodeDatagram(tlsrptDatagram({ domain, record: found.text, failure, cached: pin })),
        );
    }
  }

  async #record(domain: string): Promise<TlsrptDiscovery> {
    const { resolver, now } = this.#deps;
    const known = this.#records.get(domain);
    if (known !== undefined && now() < known.until) return known.answer;
    const answer = await discoverTlsrptRecord(domain, resolver, this.#stop.signal);
    if (answer.kind === "dns-failure") return answer;
    const until = now() + Math.min(Math.max(answer.ttl * 1000, HOLD_MIN), HOLD_MAX);
    this.#records.set(domain, { answer, until });
    return answer;
  }

  #send(domain: string, octets: Uint8Array): void {
    const { collector, events, now } = this.#deps;
    const result = collector.send(octets);
    events.delivered(domain, result);
    if (result.kind !== "sent") this.#lostAt = now();
    else if (now() - this.#lostAt < CALM) return;
    if (result.kind !== this.#collectorState) events.collectorChanged(result);
    this.#collectorState = result.kind;
  }
}

/** `events`, with each resolution reported besides. */
export function withTlsrpt(events: LookupEvents, reporter: TlsrptReporter): LookupEvents {
  return {
    ...events,
    resolved(resolution) {
      events.resolved(resolution);
      reporter.report(resolution);
    },
  };
}
