/** What is asked in the soak, and the judgement of each answer. */
import { type SoakDomain, nameOf, toldVersion, versionOf } from "./names.ts";
import type { Sessions, Told } from "./sessions.ts";
import { Times } from "./figures.ts";

/** Parts of all questions; the rest is for known domains. */
const FRESH = 0.005;
const BARE = 0.005;
const OTHERS = 0.01;
/** Domains that were fresh once. */
const FORMERLY_FRESH = 0.01;
/** Of these so many are remembered. */
const REMEMBERED = 1_000;

/**
 * Milliseconds within which a changed policy must be told: its TTL, an outage, and a back-off of a failed fetch, each with the time
 * until somebody asks.
 */
const NOTICED_WITHIN = 15 * 60_000;

/** Milliseconds after the end of an outage in which new domains may still be unknown. */
const GRACE = 5_000;

const WARM_UP_CLIENTS = 64;

/** Milliseconds after which the daemon may give up on DNS: three tries of 2 s. */
const DNS_GIVEN_UP = 6_000;

/** Keys that have no policy. */
const OTHER_KEYS = [
  "[192.0.2.1]",
  "192.0.2.1",
  "[IPv6:2001:db8::1]",
  ".soak.test",
  ".test",
  "localhost",
  "/run/lmtp",
];

export class Questions {
  known = new Times();
  readonly fresh = new Times();
  readonly others = new Times();
  /** By what is wrong: how often, and the first example. */
  readonly errors = new Map<string, { count: number; readonly example: string }>();
  /** New domains that were answered NOTFOUND since name server, policy hosts or daemon got too little of this machine. */
  late = 0;
  #asked = 0;
  #freshNumber = 0;
  /** The highest version that anybody was told, by number of the known domain. */
  readonly #told: Int32Array;
  readonly #formerlyFresh: SoakDomain[] = [];
  /** When policies changed, in milliseconds. */
  readonly #changes: number[] = [];
  #outages = 0;
  #outageEnd = -Infinity;
  readonly #sessions: Sessions;
  readonly #random: () => number;
  readonly #onWrong: (name: string) => void;

  /** @param onWrong called with each domain that was answered wrong */
  constructor(
    sessions: Sessions,
    known: number,
    random: () => number,
    onWrong: (name: string) => void = () => {},
  ) {
    this.#sessions = sessions;
    this.#onWrong = onWrong;
    this.#told = new Int32Array(known);
    this.#random = random;
  }

  get asked(): number {
    return this.#asked;
  }

  policiesChanged(): void {
    this.#changes.push(performance.now());
  }

  outageBegins(): void {
    this.#outages++;
  }

  outageEnds(): void {
    this.#outages--;
    this.#outageEnd = performance.now();
  }

  /** Asks one question. Never rejects. */
  async ask(): Promise<void> {
    this.#asked++;
    const choice = this.#random();
    if (choice < FRESH) return this.#askFresh();
    if (choice < FRESH + BARE) return this.#askBare();
    if (choice < FRESH + BARE + OTHERS) return this.#askOther();
    if (choice < FRESH + BARE + OTHERS + FORMERLY_FRESH) return this.#askFormerlyFresh();
    return this.#askKnown(Math.floor(this.#random() * this.#told.length));
  }

  /**
   * Asks for each known domain once, a few at a time: a daemon that has just been started has yet to find out whether they have
   * DANE, and says NOTFOUND where DNS fails before it has.
   */
  async warmUp(): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < this.#told.length) await this.#askKnown(next++);
    };
    await Promise.all(Array.from({ length: WARM_UP_CLIENTS }, worker));
    this.known = new Times();
  }

  error(what: string, example: string): void {
    const known = this.errors.get(what);
    if (known === undefined) this.errors.set(what, { count: 1, example });
    else known.count++;
  }

  /** Never older than what was told before this was asked, and new policies within a time. */
  async #askKnown(number: number): Promise<void> {
    const domain: SoakDomain = { kind: "known", number };
    const before = this.#told[number] ?? 0;
    const noticed = this.#changes.filter((at) => at < performance.now() - NOTICED_WITHIN).length;
    const told = await this.#tell(this.#written(domain), this.known);
    if (told === undefined) return;
    const version = toldVersion(domain, told.text);
    if (told.status !== "OK" || version === undefined) return this.#wrong("a known domain", domain, told);
    if (version < before) return this.#wrong("an older policy than before", domain, told);
    if (version < versionOf(domain, noticed)) return this.#wrong("a changed policy missed", domain, told);
    this.#told[number] = Math.max(this.#told[number] ?? 0, version);
  }

  async #askFresh(): Promise<void> {
    const domain: SoakDomain = { kind: "fresh", number: this.#freshNumber++ };
    const wasOut = this.#isOut();
    const start = performance.now();
    const told = await this.#tell(nameOf(domain), this.fresh);
    if (told === undefined) return;
    if (told.status === "NOTFOUND" && (wasOut || this.#isOut())) return;
    if (told.status === "NOTFOUND" && performance.now() - start >= DNS_GIVEN_UP) {
      this.late++;
      return;
    }
    if (told.status !== "OK" || toldVersion(domain, told.text) !== 0)
      return this.#wrong("a new domain", domain, told);
    if (this.#formerlyFresh.length < REMEMBERED) this.#formerlyFresh.push(domain);
    else this.#formerlyFresh[Math.floor(this.#random() * REMEMBERED)] = domain;
  }

  async #askFormerlyFresh(): Promise<void> {
    const domain = this.#formerlyFresh[Math.floor(this.#random() * this.#formerlyFresh.length)];
    if (domain === undefined) return;
    const told = await this.#tell(nameOf(domain), this.known);
    if (told === undefined) return;
    if (told.status !== "OK" || toldVersion(domain, told.text) !== 0)
      this.#wrong("a domain told once", domain, told);
  }

  async #askBare(): Promise<void> {
    const domain: SoakDomain = { kind: "bare", number: this.#freshNumber++ };
    const told = await this.#tell(nameOf(domain), this.fresh);
    if (told !== undefined && told.status !== "NOTFOUND")
      this.#wrong("a domain without policy", domain, told);
  }

  async #askOther(): Promise<void> {
    const key = OTHER_KEYS[Math.floor(this.#random() * OTHER_KEYS.length)] ?? "";
    const told = await this.#tell(key, this.others);
    if (told !== undefined && told.status !== "NOTFOUND") this.error("no domain", `${key}: ${told.text}`);
  }

  #isOut(): boolean {
    return this.#outages > 0 || performance.now() < this.#outageEnd + GRACE;
  }

  /** As Postfix has it: in any case, with a port. */
  #written(domain: SoakDomain): string {
    const name = nameOf(domain);
    const choice = this.#random();
    if (choice < 0.02) return name.toUpperCase();
    return choice < 0.04 ? `${name}:587` : name;
  }

  async #tell(key: string, times: Times): Promise<Told | undefined> {
    const start = performance.now();
    try {
      const told = await this.#sessions.ask(key);
      times.add(performance.now() - start);
      return told;
    } catch (error) {
      this.error("no answer", `${key}: ${String(error)}`);
      return undefined;
    }
  }

  #wrong(what: string, domain: SoakDomain, { status, text }: Told): void {
    this.#onWrong(nameOf(domain));
    this.error(what, `${nameOf(domain)}: ${status} ${text}`);
  }
}
