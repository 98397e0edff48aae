/**
 * Every key of the configuration: its meaning, its type, its bounds and its default.
 * A new key is a line in an interface, a line in the schema below it, and one in stsmapd.example.yaml.
 * In the file keys are written in snake_case.
 */
import type { Override } from "../policy/override.ts";
import type { MapProfile } from "../policy/map-profile.ts";
import type { HostPort } from "../net/listen-address.ts";
import { addressRange, hostPortOrNull, nameServer } from "./address.ts";
import {
  account,
  dnsName,
  duration,
  fileMode,
  filePath,
  fraction,
  integer,
  list,
  oneOf,
  optional,
  pathOrNull,
  secretOrNull,
  size,
  socketPathOrNone,
  socketPathOrNull,
  truth,
  withDefault,
} from "./fields.ts";
import { type Listener, listen, takenTwice } from "./listen.ts";
import { maps } from "./maps.ts";
import { overrides } from "./overrides.ts";
import { type Proxy, proxyField } from "./proxy.ts";
import { type Breach, type Rule, section } from "./section.ts";

interface StoreConfig {
  /** The database file. The default depends on the environment: see environment.ts. */
  readonly path: string;
  /** How many domains are held in memory. */
  readonly memoryEntries: number;
}

const store = section<StoreConfig>({
  path: filePath,
  memoryEntries: withDefault(integer({ min: 1, max: 10_000_000 }), 20_000),
});

interface LookupConfig {
  /** Milliseconds after which a question that waits is answered; the work goes on. */
  readonly deadline: number;
  /** Unknown domains that are looked up at once; the others wait for their turn. */
  readonly concurrency: number;
  /** Milliseconds that stopping waits for answers under way. */
  readonly stopTimeout: number;
}

const lookup = section<LookupConfig>({
  // Postfix waits 100 s for a reply.
  deadline: withDefault(duration({ min: "1ms", max: "90s" }), "20s"),
  // Half as many as there are questions to DNS at once: the other half is for known domains, DANE and policy hosts.
  concurrency: withDefault(integer({ min: 1, max: 10_000 }), 256),
  stopTimeout: withDefault(duration({ min: "0s", max: "10m" }), "10s"),
});

interface DnsConfig {
  /** The name servers in order of preference; empty: those of /etc/resolv.conf. */
  readonly servers: readonly HostPort[];
  /** Milliseconds of one try. */
  readonly timeout: number;
  /** Rounds over all servers. */
  readonly attempts: number;
  /** Whether the AD bit is believed; `auto`: from a server on loopback, or where resolv.conf has `trust-ad`. */
  readonly trustAd: "auto" | "always" | "never";
}

const dns = section<DnsConfig>({
  servers: withDefault(list(nameServer), []),
  timeout: withDefault(duration({ min: "1ms", max: "1m" }), "2s"),
  attempts: withDefault(integer({ min: 1, max: 10 }), 3),
  trustAd: withDefault(oneOf(["auto", "always", "never"]), "auto"),
});

interface DaneConfig {
  /** Whether DANE is looked for at all. */
  readonly enabled: boolean;
  /** MX hosts of a domain that are looked at, the most preferred first. */
  readonly maxHosts: number;
  /** Of these, how many at once. */
  readonly parallel: number;
  /** Milliseconds: the TTL of the answers, held between these two, says how long a state holds. */
  readonly holdMin: number;
  readonly holdMax: number;
  /** Milliseconds that a client waits while DNS does not answer and something is known from before. */
  readonly patience: number;
  /** A signed name: a resolver that validates must answer for it with the AD bit. */
  readonly selfTestName: string;
  readonly selfTestType: "SOA" | "DNSKEY";
  /** Milliseconds between two self-tests. */
  readonly selfTestInterval: number;
}

const dane = section<DaneConfig>(
  {
    enabled: withDefault(truth, true),
    maxHosts: withDefault(integer({ min: 1, max: 100 }), 20),
    parallel: withDefault(integer({ min: 1, max: 100 }), 4),
    holdMin: withDefault(duration({ min: "1ms", max: "1h" }), "10s"),
    holdMax: withDefault(duration({ min: "1ms", max: "30d" }), "1d"),
    patience: withDefault(duration({ min: "0s", max: "90s" }), "1s"),
    selfTestName: withDefault(dnsName, "."),
    selfTestType: withDefault(oneOf(["SOA", "DNSKEY"]), "SOA"),
    selfTestInterval: withDefault(duration({ min: "1s", max: "30d" }), "1h"),
  },
  ({ holdMin = 0, holdMax = Infinity }) =>
    holdMin > holdMax ? { key: "holdMin", message: "above hold_max (at most hold_max)" } : undefined,
);

interface FetchConfig {
  /** Milliseconds of a whole fetch. */
  readonly timeout: number;
  /** Milliseconds of these for connection and TLS. */
  readonly connectTimeout: number;
  /** Bytes a policy may have. */
  readonly maxSize: number;
  /** Fetches at once. */
  readonly concurrency: number;
  /** Fetches at once from one IPv4 address or IPv6 /64. */
  readonly perAddress: number;
  readonly proxy: Proxy;
  /** A PEM file of certificates, trusted beside the system's. */
  readonly caFile: string | undefined;
  /** CIDR ranges that may be connected to although they are not globally routable. */
  readonly allowAddresses: readonly string[];
  /** The port of policy hosts. RFC 8461 knows only 443; for tests. */
  readonly port: number;
}

const fetch = section<FetchConfig>({
  timeout: withDefault(duration({ min: "1ms", max: "10m" }), "60s"),
  connectTimeout: withDefault(duration({ min: "1ms", max: "10m" }), "10s"),
  maxSize: withDefault(size({ min: "1KiB", max: "16MiB" }), "64KiB"),
  concurrency: withDefault(integer({ min: 1, max: 10_000 }), 64),
  perAddress: withDefault(integer({ min: 1, max: 10_000 }), 2),
  proxy: withDefault(proxyField, "environment"),
  caFile: withDefault(pathOrNull, null),
  allowAddresses: withDefault(list(addressRange), []),
  port: withDefault(integer({ min: 1, max: 65_535 }), 443),
});

interface FreshnessConfig {
  /** Milliseconds: the TTL of a record, held between these two, says when it is looked up again. */
  readonly recheckMin: number;
  readonly recheckMax: number;
  /** Milliseconds: the negative TTL of "no record", held between these two. */
  readonly negativeMin: number;
  readonly negativeMax: number;
  /** Milliseconds for which a failure of DNS is remembered. */
  readonly dnsFailure: number;
  /** Milliseconds until a failed fetch is tried again; doubled with each failure, up to `backoffMax`. */
  readonly backoffMin: number;
  readonly backoffMax: number;
  /** A policy in use is renewed at a random time between these two parts of its lifetime. */
  readonly renewFrom: number;
  readonly renewTo: number;
  /** Milliseconds before the end of the lifetime by which renewal is due, where the lifetime allows. */
  readonly renewMargin: number;
  /** Milliseconds without a question after which a policy is no longer refreshed. */
  readonly unusedAfter: number;
}

const span = { min: "1ms", max: "365d" };

const freshness = section<FreshnessConfig>(
  {
    recheckMin: withDefault(duration(span), "1m"),
    recheckMax: withDefault(duration(span), "1d"),
    negativeMin: withDefault(duration(span), "1m"),
    negativeMax: withDefault(duration(span), "1h"),
    dnsFailure: withDefault(duration(span), "30s"),
    backoffMin: withDefault(duration(span), "5m"),
    backoffMax: withDefault(duration(span), "6h"),
    renewFrom: withDefault(fraction, 0.5),
    renewTo: withDefault(fraction, 0.8),
    renewMargin: withDefault(duration({ ...span, min: "0s" }), "1d"),
    unusedAfter: withDefault(duration({ ...span, max: "3650d" }), "60d"),
  },
  notAbove("recheckMin", "recheckMax", "recheck_max"),
  notAbove("negativeMin", "negativeMax", "negative_max"),
  notAbove("backoffMin", "backoffMax", "backoff_max"),
  ({ renewFrom = 0, renewTo = 1 }) =>
    renewFrom >= renewTo
      ? { key: "renewFrom", message: "not below renew_to (less than renew_to)" }
      : undefined,
);

interface AdminConfig {
  /** The unix socket of the cache commands; undefined: none. The default lies beside the store: see environment.ts. */
  readonly socket: string | undefined;
  /** Its permission bits. */
  readonly mode: number;
  /** Its group, by name or number; undefined: the daemon's own. */
  readonly group: string | number | undefined;
}

const admin = section<AdminConfig>({
  socket: socketPathOrNone,
  mode: withDefault(fileMode, "0660"),
  group: optional(account),
});

interface TlsrptConfig {
  /** The datagram socket of tlsrpt-reporter's collector; undefined: nothing is reported. */
  readonly collector: string | undefined;
}

const tlsrpt = section<TlsrptConfig>({ collector: withDefault(socketPathOrNull, null) });

interface MetricsConfig {
  /** Where metrics and health are to be had over TCP; undefined: on the admin socket only. */
  readonly listen: HostPort | undefined;
}

const metrics = section<MetricsConfig>({ listen: withDefault(hostPortOrNull, null) });

interface LogConfig {
  /** The least severe level that is logged. */
  readonly level: "trace" | "debug" | "info" | "warn" | "error";
  /** `auto`: pretty on a terminal, otherwise JSON. */
  readonly format: "auto" | "json" | "pretty";
  /** Recipient domains: as they are, by a pseudonym, or not at all. */
  readonly domains: true | "hash" | false;
  /** The secret of the pseudonyms. */
  readonly hashKey: string | undefined;
}

const log = section<LogConfig>(
  {
    level: withDefault(oneOf(["trace", "debug", "info", "warn", "error"]), "info"),
    format: withDefault(oneOf(["auto", "json", "pretty"]), "auto"),
    domains: withDefault(oneOf([true, "hash", false]), true),
    hashKey: withDefault(secretOrNull, null),
  },
  (values) =>
    values.domains === "hash" && "hashKey" in values && values.hashKey === undefined
      ? { key: "hashKey", message: "missing, and domains: hash needs it (16 characters or more)" }
      : undefined,
);

/** The effective configuration: complete, valid and frozen. */
export interface Config {
  readonly listen: readonly Listener[];
  /** Profiles by the name of the map. */
  readonly maps: Readonly<Record<string, MapProfile>>;
  readonly store: StoreConfig;
  readonly lookup: LookupConfig;
  /** The administrator's own word on single domains. */
  readonly overrides: readonly Override[];
  readonly dns: DnsConfig;
  readonly dane: DaneConfig;
  readonly fetch: FetchConfig;
  readonly freshness: FreshnessConfig;
  readonly admin: AdminConfig;
  readonly tlsrpt: TlsrptConfig;
  readonly metrics: MetricsConfig;
  readonly log: LogConfig;
}

export const schema = section<Config>(
  { listen, maps, store, lookup, overrides, dns, dane, fetch, freshness, admin, tlsrpt, metrics, log },
  knownMaps,
  ({ listen: listeners = [] }) => {
    const index = takenTwice(listeners);
    if (index === -1) return undefined;
    return {
      key: "listen",
      below: [index, "address"],
      message: "another listener has it (each socket once)",
    };
  },
);

function knownMaps(values: Partial<Config>): Breach<Config> | undefined {
  const { listen: listeners = [], maps: profiles } = values;
  const isUnknown = (listener: Listener): boolean =>
    listener.protocol === "tcp_table" && profiles !== undefined && !Object.hasOwn(profiles, listener.map);
  const index = listeners.findIndex(isUnknown);
  if (index === -1) return undefined;
  const message = `no such map (${Object.keys(profiles ?? {}).join(", ")})`;
  return { key: "listen", below: [index, "map"], message };
}

type Spans = "recheckMin" | "recheckMax" | "negativeMin" | "negativeMax" | "backoffMin" | "backoffMax";

function notAbove(min: Spans, max: Spans, maxInFile: string): Rule<FreshnessConfig> {
  return (values) =>
    (values[min] ?? 0) > (values[max] ?? Infinity)
      ? { key: min, message: `above ${maxInFile} (at most ${maxInFile})` }
      : undefined;
}
