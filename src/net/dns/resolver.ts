/** What the rest of the daemon may ask of DNS, and what it gets: an answer, or an error. Never one for the other. */

/** One MX record; `exchange` in lower case. An empty one is the root: the null MX of RFC 7505. */
export interface MxRecord {
  readonly preference: number;
  readonly exchange: string;
}

/** One TLSA record (RFC 6698 §2.1). */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Uint8Array;
}

/** The record types we ask for, and the shape of one record of each. */
export interface RecordShapes {
  /** Dotted decimal. */
  A: string;
  /** RFC 5952 text. */
  AAAA: string;
  MX: MxRecord;
  /** All character-strings of one record joined with nothing between them, one char per octet (latin1). */
  TXT: string;
  TLSA: TlsaRecord;
  /** The target, in lower case. Asked for by itself, an alias is not followed. */
  CNAME: string;
  /** For the self-test of a validating resolver only: the presence matters, not the content. */
  SOA: unknown;
  DNSKEY: unknown;
}

export type RecordType = keyof RecordShapes;

/** What a name server said, "there is none" included. */
export interface DnsAnswer<T extends RecordType> {
  /** Empty when the name or the type does not exist. */
  readonly records: readonly RecordShapes[T][];
  /** The name that owns the records, after all CNAMEs; lower case, no final dot. */
  readonly canonicalName: string;
  /** True for NXDOMAIN: the canonical name itself does not exist. */
  readonly nameMissing: boolean;
  /** Seconds: the smallest TTL of the chain; of a negative answer, the SOA's negative TTL (RFC 2308 §5), 0 without SOA. */
  readonly ttl: number;
  /** The AD bit of the answer, whether or not the resolver may be trusted with it. */
  readonly authenticated: boolean;
}

/**
 * Why DNS could not be asked.
 * - `timeout`, `network`: no server answered; try again later.
 * - `servfail`, `refused`: servers answered that they cannot; try again later.
 * - `malformed`: answers that break the protocol; try again later.
 * - `cname-loop`: more than 8 aliases; the owner must mend the zone.
 * - `bad-name`: the name does not fit into DNS (a label over 63 octets, 255 in all); never try again.
 * - `aborted`: the caller's signal fired.
 */
export type DnsErrorCode =
  | "timeout"
  | "network"
  | "servfail"
  | "refused"
  | "malformed"
  | "cname-loop"
  | "bad-name"
  | "aborted";

/** DNS could not be asked. Says nothing about what the zone holds: callers must not take it for absence. */
export class DnsError extends Error {
  override readonly name = "DnsError";
  readonly code: DnsErrorCode;

  constructor(code: DnsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface Resolver {
  /**
   * Asks for `type` at `name` (A-labels, without the final dot; `.` is the root).
   * Throws {@link DnsError} and nothing else.
   */
  resolve<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<T>>;
}
