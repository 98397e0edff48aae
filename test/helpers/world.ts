/**
 * All that one lookup meets: a name server and policy hosts on loopback, a store, and an engine wired to them as the daemon
 * wires it, under a clock that the test moves.
 *
 *     await using world = await startWorld();
 *     world.publish("example.com");
 *     expect(await world.ask("example.com")).toBe(secure("example.com"));
 */
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config.ts";
import { NO_DANE, type DaneSource } from "../../src/lookup/dane/dane-source.ts";
import { LookupEngine, type EngineOptions } from "../../src/lookup/engine.ts";
import type { LookupEvents, Resolution } from "../../src/lookup/events.ts";
import type { FreshnessOptions } from "../../src/lookup/freshness.ts";
import type { LookupService } from "../../src/lookup/lookup-service.ts";
import { MapLookup } from "../../src/lookup/maps.ts";
import { Overrides } from "../../src/lookup/overrides.ts";
import { DnsClient } from "../../src/net/dns/client.ts";
import { HttpsPolicyFetcher } from "../../src/net/policy-host/https-policy-fetcher.ts";
import type { PolicyFetcher } from "../../src/net/policy-host/policy-fetcher.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import type { MapProfile } from "../../src/policy/map-profile.ts";
import type { PolicyMode } from "../../src/policy/policy.ts";
import type { Reply } from "../../src/policy/reply.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { PolicyStore } from "../../src/store/store.ts";
import { createCa, type CertificateAuthority } from "./certificates.ts";
import { Clock } from "./clock.ts";
import { startDnsServer, type DnsServer } from "./dns-server.ts";
import { startPolicyHost, type PolicyHost } from "./policy-host.ts";
import { checkReply } from "./postfix-grammar.ts";

/** The configuration as shipped. */
export const DEFAULTS = parseConfig("", "none", { HOME: "/nonexistent" });

/** The built-in maps. */
export const MAPS: ReadonlyMap<string, MapProfile> = new Map(Object.entries(DEFAULTS.maps));

export interface WorldOptions {
  /** `sqlite`: a file in a temporary folder that outlives {@link World.restart}. Default: `memory`. */
  readonly store?: "memory" | "sqlite";
  /** Puts something between engine and store. */
  readonly wrapStore?: (store: PolicyStore) => PolicyStore;
  /** Puts something between the engine and its events; gets the engine's resolver. */
  readonly wrapEvents?: (events: LookupEvents, resolver: Resolver) => LookupEvents;
  readonly freshness?: Partial<FreshnessOptions>;
  readonly engine?: Partial<EngineOptions>;
  readonly dane?: DaneSource;
  /** In place of the real ones. */
  readonly resolver?: Resolver;
  readonly fetcher?: PolicyFetcher;
  /** Milliseconds; default: 10 s. */
  readonly fetchTimeout?: number;
  /** Default: always 0.5. */
  readonly random?: () => number;
}

export interface PublishedPolicy {
  /** Default: 1. */
  readonly id?: string;
  /** Default: enforce. */
  readonly mode?: PolicyMode;
  /** Default: `mx.<domain>`. */
  readonly mx?: readonly string[];
  /** Seconds; default: a week. */
  readonly maxAge?: number;
  /** Seconds, of the record; default: 300. */
  readonly ttl?: number;
}

/** What the engine reported. */
export interface RecordedEvents {
  readonly resolved: Resolution[];
  readonly deadlines: string[];
  readonly turnedAway: string[];
  readonly heldBack: string[];
  /** `read example.com: busy`, … */
  readonly storeFailures: string[];
  readonly faults: unknown[];
}

/** What Postfix is told of a policy as {@link World.publish} makes it, by a map of the 3.4 attributes. */
export function secure(domain: string, ...mx: readonly string[]): string {
  const patterns = mx.length > 0 ? mx : [`mx.${domain}`];
  return `secure match=${patterns.join(":")} servername=hostname`;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const ca = createCa();
  const [dns, host] = await Promise.all([startDnsServer(), startPolicyHost({ ca })]);
  return new World(options, ca, dns, host);
}

export class World implements AsyncDisposable {
  readonly clock = new Clock();
  readonly ca: CertificateAuthority;
  readonly dns: DnsServer;
  readonly host: PolicyHost;
  readonly events: RecordedEvents = {
    resolved: [],
    deadlines: [],
    turnedAway: [],
    heldBack: [],
    storeFailures: [],
    faults: [],
  };
  readonly #options: WorldOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "stsmapd-world-"));
  readonly #resolutions = new EventEmitter();
  #store: PolicyStore;
  #engine: LookupEngine;

  constructor(options: WorldOptions, ca: CertificateAuthority, dns: DnsServer, host: PolicyHost) {
    this.ca = ca;
    this.dns = dns;
    this.host = host;
    this.#options = options;
    this.#store = this.#openStore();
    this.#engine = this.#createEngine();
  }

  get engine(): LookupEngine {
    return this.#engine;
  }

  /** What a server asks: the built-in maps, and no overrides. */
  get service(): LookupService {
    return new MapLookup(
      this.#engine,
      { maps: MAPS, overrides: new Overrides([], () => {}) },
      this.clock.now,
    );
  }

  get store(): PolicyStore {
    return this.#store;
  }

  /** The file of the store `sqlite`. */
  get storePath(): string {
    return join(this.#folder, "cache.sqlite");
  }

  /** Publishes record, policy and address, or replaces them. */
  publish(domain: string, policy: PublishedPolicy = {}): void {
    const { id = "1", mode = "enforce", mx = [`mx.${domain}`], maxAge = 604_800, ttl = 300 } = policy;
    const mxLines = mx.map((pattern) => `mx: ${pattern}\n`).join("");
    this.publishRecord(domain, id, ttl);
    this.dns.zone.a(`mta-sts.${domain}`, "127.0.0.1");
    this.host.serve(domain, `version: STSv1\nmode: ${mode}\n${mxLines}max_age: ${maxAge}\n`);
  }

  publishRecord(domain: string, id: string, ttl = 300): void {
    this.dns.zone.txt(`_mta-sts.${domain}`, `v=STSv1; id=${id};`, { ttl });
  }

  /** The record vanishes; the policy host goes on. */
  withdrawRecord(domain: string): void {
    this.dns.zone.remove(`_mta-sts.${domain}`);
  }

  /** How often the record was asked for. */
  recordQueries(domain: string): number {
    return this.dns.queries(`_mta-sts.${domain}`, "TXT");
  }

  /** The text of the reply, `NOTFOUND`, or `TEMP …`; checked against Postfix's grammar. */
  async ask(domain: string, map = "postfix"): Promise<string> {
    const profile = builtInMap(map);
    return wording(await this.#engine.lookup(domain, profile), profile);
  }

  /** As {@link ask}, but undefined where the answer is not there at once. */
  askNow(domain: string, map = "postfix"): string | undefined {
    const profile = builtInMap(map);
    const reply = this.#engine.lookup(domain, profile);
    return reply instanceof Promise ? undefined : wording(reply, profile);
  }

  /** Asks, which must be answered at once, and waits for the resolution that this sets off. */
  async recheck(domain: string, map = "postfix"): Promise<string | undefined> {
    const resolved = this.nextResolution(domain);
    const reply = this.askNow(domain, map);
    await resolved;
    return reply;
  }

  /** The end of the next resolution of `domain`. */
  async nextResolution(domain: string): Promise<Resolution> {
    const [resolution]: Resolution[] = await once(this.#resolutions, domain);
    if (resolution === undefined) throw new TypeError("an event without its resolution");
    return resolution;
  }

  /** The process ends and starts again: a new engine on the same store. */
  async restart(): Promise<void> {
    this.#engine.stop();
    if (this.#options.store === "sqlite") {
      await this.#store.close();
      this.#store = this.#openStore();
    }
    this.#engine = this.#createEngine();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#engine.stop();
    await Promise.all([this.dns.stop(), this.host.stop(), this.#store.close()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #openStore(): PolicyStore {
    const { store, wrapStore = (inner: PolicyStore) => inner } = this.#options;
    const inner =
      store === "sqlite" ? openStore({ path: this.storePath, now: this.clock.now }) : new MemoryStore();
    return wrapStore(inner);
  }

  #createEngine(): LookupEngine {
    const { freshness, engine, dane = NO_DANE, random = () => 0.5 } = this.#options;
    const { wrapEvents = (events: LookupEvents) => events } = this.#options;
    const servers = [{ host: this.dns.address, port: this.dns.port }];
    const {
      resolver = new DnsClient({ servers: () => servers, timeoutMs: 2_000, attempts: 1 }),
      fetcher = this.#createFetcher(resolver),
    } = this.#options;
    return new LookupEngine({
      resolver,
      fetcher,
      dane,
      store: this.#store,
      events: wrapEvents(this.#recorder(), resolver),
      freshness: { ...DEFAULTS.freshness, ...freshness },
      options: {
        ...DEFAULTS.store,
        ...DEFAULTS.lookup,
        commitTimeout: 5_000,
        mostWaiting: 50_000,
        ...engine,
      },
      now: this.clock.now,
      random,
    });
  }

  #createFetcher(resolver: Resolver): PolicyFetcher {
    return new HttpsPolicyFetcher({
      resolver,
      userAgent: "stsmapd-test",
      timeoutMs: this.#options.fetchTimeout ?? 10_000,
      connectTimeoutMs: 10_000,
      maxBytes: 65_536,
      concurrency: 64,
      perAddress: 64,
      proxyFor: () => undefined,
      allowAddresses: ["127.0.0.0/8"],
      extraRoots: [this.ca.pem],
      port: this.host.port,
      now: () => performance.now(),
    });
  }

  #recorder(): LookupEvents {
    const { resolved, deadlines, turnedAway, heldBack, storeFailures, faults } = this.events;
    return {
      resolved: (resolution) => {
        resolved.push(resolution);
        this.#resolutions.emit(resolution.domain, resolution);
      },
      deadlinePassed: (domain) => void deadlines.push(domain),
      turnedAway: (domain) => void turnedAway.push(domain),
      heldBack: (domain) => void heldBack.push(domain),
      storeFailed: (operation, domain, error) =>
        void storeFailures.push(`${operation} ${domain}: ${error.code}`),
      failed: (_domain, error) => void faults.push(error),
    };
  }
}

function builtInMap(name: string): MapProfile {
  const profile = MAPS.get(name);
  if (profile === undefined) throw new TypeError(`no map ${name}`);
  return profile;
}

function wording(reply: Reply, { attributes }: MapProfile): string {
  checkReply(reply, attributes);
  if (reply.status === "OK") return reply.text;
  return reply.status === "TEMP" ? `TEMP ${reply.reason}` : reply.status;
}
