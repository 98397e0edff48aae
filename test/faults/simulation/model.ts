/**
 * What the promises of stsmapd come to, told from what is seen at its borders: DNS, policy hosts, the disk, its answers. It
 * shares no code with src/lookup. What breaks a promise is noted, and the simulation goes on.
 */
import type { FetchFailureReason } from "../../../src/net/policy-host/policy-fetcher.ts";
import type { Reply } from "../../../src/policy/reply.ts";
import type { Entry } from "../../../src/store/store.ts";
import { HOUR, MINUTE, SECOND } from "../../helpers/clock.ts";
import type { DiskTap } from "./disk.ts";
import { CONCURRENCY, PER_ADDRESS, type PublishedPolicy, type WireTap } from "./internet.ts";
import { HeldPolicy } from "./held-policy.ts";

/** As docs/ has them, in milliseconds. */
const DEADLINE = 20 * SECOND;
const COMMIT_TIMEOUT = 5 * SECOND;
const FIRST_PAUSE = 5 * MINUTE;
const LONGEST_PAUSE = 6 * HOUR;
/** Where DNS may be to blame, and so this machine. */
const OUR_FIRST_PAUSE = 30 * SECOND;
/** For so long a row that could not be read excuses what follows of it: a resolution ends within. */
const UNREADABLE_FOR = 2 * MINUTE;

interface Failure {
  readonly id: string;
  readonly count: number;
  readonly at: number;
  readonly retryAt: number;
}

export interface Lookup {
  readonly passed: number;
  readonly at: number;
  readonly heldAtFirst: HeldPolicy | undefined;
  /** All that was in force between question and answer. */
  readonly policies: Set<HeldPolicy>;
  readonly wasUnreadable: boolean;
}

/** A domain as the process must know it, and as its disk does. */
class DomainModel {
  held: HeldPolicy | undefined;
  /** Fetched, and not told before it is on disk. */
  incoming: HeldPolicy | undefined;
  stored: HeldPolicy | undefined;
  failure: Failure | undefined;
  storedFailure: Failure | undefined;
  /** What DNS said last: an id, that there is no record, or nothing. */
  lastTold: string | undefined;
  isDnsDead = false;
  fetchedId = "";
  /** What was in force when the fetch began. */
  heldThen: HeldPolicy | undefined;
  /** By how much the clock was stepped since. */
  steppedSince = 0;
  /** Whether the row could not be read then, or was not what it should be. */
  wasUnreadable = false;
  questions = 0;
  fetches = 0;
  unreadableUntil = -Infinity;
  isCommanded = false;
  readonly lookups = new Set<Lookup>();

  /** What was fetched is in force. */
  settle(): void {
    this.held = this.incoming ?? this.held;
    this.incoming = undefined;
  }

  restart(): void {
    this.held = this.stored;
    this.failure = this.storedFailure;
    this.incoming = undefined;
    this.isCommanded = false;
    [this.questions, this.fetches] = [0, 0];
    this.lookups.clear();
  }
}

export interface ModelClock {
  readonly now: () => number;
  readonly passed: number;
}

export class Model implements WireTap, DiskTap {
  readonly violations: string[] = [];
  /** How often what happened: a simulation that meets with nothing shows nothing. */
  readonly counts = {
    lookups: 0,
    secure: 0,
    deferred: 0,
    fetches: 0,
    renewals: 0,
    backOffs: 0,
    writes: 0,
    refused: 0,
    unreadable: 0,
    crashes: 0,
    steps: 0,
  };
  readonly #clock: ModelClock;
  readonly #addressOf: (domain: string) => string;
  readonly #domains = new Map<string, DomainModel>();
  /** Connections by address. */
  readonly #connections = new Map<string, number>();

  constructor(clock: ModelClock, addressOf: (domain: string) => string) {
    this.#clock = clock;
    this.#addressOf = addressOf;
  }

  looksUp(domain: string): Lookup {
    this.counts.lookups++;
    const model = this.#of(domain);
    const at = this.#clock.now();
    if (model.incoming !== undefined && this.#clock.passed > model.incoming.awaitedUntil) model.settle();
    const { held, incoming, stored } = model;
    const wasUnreadable = at < model.unreadableUntil;
    // While the disk hangs, a policy that is not on it is told for as long as memory has it.
    const isHanging = wasUnreadable && held?.isOnDisk === false;
    const inForce = [held, incoming, isHanging ? stored : undefined];
    const policies = new Set(inForce.filter((policy) => policy !== undefined));
    const lookup = { passed: this.#clock.passed, at, heldAtFirst: held, policies, wasUnreadable };
    model.lookups.add(lookup);
    return lookup;
  }

  /** @param isStopping whether the process was told to stop meanwhile */
  answered(domain: string, lookup: Lookup, reply: Reply, isStopping: boolean): void {
    const model = this.#of(domain);
    if (!model.lookups.delete(lookup)) return;
    const now = this.#clock.now();
    const rule = this.#ruleOf(domain);
    rule(this.#clock.passed - lookup.passed <= DEADLINE, 6, "answered after the deadline");
    const [first, last] = [Math.min(lookup.at, now), Math.max(lookup.at, now)];
    const possible = [...lookup.policies].filter((policy) => policy.mayHold(first));
    if (reply.status === "OK") {
      this.counts.secure++;
      const told = possible.find((policy) => policy.text === reply.text);
      rule(told !== undefined, 2, `told of a policy that is not in force: ${reply.text}`);
      if (told === undefined) return;
      rule(
        told.isOnDisk || told.isExcused || this.#clock.passed >= told.awaitedUntil,
        7,
        "told before it was on disk",
      );
      told.wasTold = true;
    } else if (reply.status === "TEMP") {
      this.counts.deferred++;
      const isExcused = isStopping || lookup.wasUnreadable || now < model.unreadableUntil;
      rule(isExcused, 2, `deferred for no reason: ${reply.reason}`);
    } else {
      const { heldAtFirst } = lookup;
      // Then what is on disk may be one that is not enforced, or none.
      const isHanging = heldAtFirst?.isOnDisk === false && lookup.wasUnreadable;
      const isEnforced = heldAtFirst?.text !== undefined && heldAtFirst.mustHold(last) && !isHanging;
      rule(
        !isEnforced || possible.some(({ text }) => text === undefined),
        2,
        "a policy in force was not told",
      );
    }
  }

  asked(domain: string): void {
    const model = this.#of(domain);
    this.#ruleOf(domain)(++model.questions === 1, 5, "the record is asked for twice at once");
  }

  untold(domain: string): void {
    const model = this.#of(domain);
    model.questions--;
    model.isDnsDead = true;
  }

  told(domain: string, id: string | undefined): void {
    const model = this.#of(domain);
    model.questions--;
    model.isDnsDead = false;
    model.lastTold = id;
    // What failed under an id that the owner took back does not matter any more.
    if (id === model.held?.id && model.held?.mayHold(this.#clock.now()) && model.failure?.id !== id)
      model.failure = undefined;
  }

  fetching(domain: string): void {
    this.counts.fetches++;
    const model = this.#of(domain);
    const rule = this.#ruleOf(domain);
    const now = this.#clock.now();
    model.settle();
    const { held, failure } = model;
    const id = model.isDnsDead ? held?.id : model.lastTold;
    model.fetchedId = id ?? "";
    model.steppedSince = 0;
    model.wasUnreadable = now < model.unreadableUntil;
    model.heldThen = held?.mayHold(now) ? held : undefined;
    rule(id !== undefined, 3, "fetched without a record");
    rule(++model.fetches === 1, 5, "fetched twice at once");
    if (held?.id === id) this.counts.renewals++;
    if (model.isCommanded || model.wasUnreadable) return;
    const isFresh = held !== undefined && held.id === id && held.mustHold(now) && now < held.renewableFrom;
    rule(!isFresh, 3, `fetched, though ${id} is unchanged and not due`);
    if (failure === undefined || failure.id !== id) return;
    rule(
      now >= failure.retryAt,
      4,
      `fetched again after failure ${failure.count}, ${failure.retryAt - now} ms too early`,
    );
  }

  connected(domain: string): void {
    const address = this.#addressOf(domain);
    const atAddress = (this.#connections.get(address) ?? 0) + 1;
    this.#connections.set(address, atAddress);
    const all = [...this.#connections.values()].reduce((sum, count) => sum + count, 0);
    this.#ruleOf(domain)(
      all <= CONCURRENCY && atAddress <= PER_ADDRESS,
      5,
      `${all} fetches, ${atAddress} at ${address}`,
    );
  }

  disconnected(domain: string): void {
    const address = this.#addressOf(domain);
    this.#connections.set(address, (this.#connections.get(address) ?? 0) - 1);
  }

  fetched(domain: string, policy: PublishedPolicy): void {
    const model = this.#of(domain);
    model.fetches--;
    model.failure = undefined;
    const until = this.#clock.passed + COMMIT_TIMEOUT;
    model.incoming = new HeldPolicy(model.fetchedId, policy, this.#clock.now(), until);
    if (model.steppedSince !== 0) model.incoming.step(model.steppedSince, this.#clock.now());
    for (const lookup of model.lookups) lookup.policies.add(model.incoming);
  }

  failed(domain: string, reason: FetchFailureReason): void {
    const model = this.#of(domain);
    model.fetches--;
    if (reason === "aborted" || reason === "overloaded" || reason === "local-error") return;
    this.counts.backOffs++;
    // It is added to a row that may be an older one.
    if (model.wasUnreadable) model.failure = undefined;
    if (model.wasUnreadable) return;
    const now = this.#clock.now();
    const id = model.fetchedId;
    const count = model.failure?.id === id ? model.failure.count + 1 : 1;
    const isOurs = reason === "dns-error" || reason === "proxy-failed";
    const pause = Math.min(
      (isOurs ? OUR_FIRST_PAUSE : FIRST_PAUSE) * 2 ** (count - 1),
      isOurs ? FIRST_PAUSE : LONGEST_PAUSE,
    );
    // A policy that is about to lapse is tried for more often.
    const left = model.heldThen ? Math.max(model.heldThen.leastLeft(now) / 4, FIRST_PAUSE) : Infinity;
    model.failure = { id, count, at: now, retryAt: now + Math.min(pause, left) - 1 };
  }

  committed(entry: Entry, row: Entry): void {
    this.counts.writes++;
    const model = this.#of(entry.domain);
    const written = [model.incoming, model.held].find((policy) => policy?.isOf(row.pin));
    if (written !== undefined) {
      written.isOnDisk = true;
      model.stored = written;
      if (written === model.incoming) model.settle();
    }
    const isLost = model.incoming?.isOf(entry.pin) === true && model.incoming !== written;
    this.#ruleOf(entry.domain)(!isLost, 7, "said to be on disk, and is not");
    const failures = [model.failure, model.storedFailure];
    model.storedFailure = failures.find((failure) => failure?.at === row.failure?.failedAt);
  }

  refused(entry: Entry): void {
    this.counts.refused++;
    const model = this.#of(entry.domain);
    for (const policy of [model.incoming, model.held]) if (policy?.isOf(entry.pin)) policy.isExcused = true;
    if (model.incoming?.isExcused) model.settle();
  }

  /** The process knows that what it fetched last is not on disk. */
  unwritten(domain: string): void {
    const model = this.#of(domain);
    if (model.incoming !== undefined) model.incoming.isExcused = true;
    model.settle();
  }

  unreadable(domain: string): void {
    this.counts.unreadable++;
    const model = this.#of(domain);
    model.unreadableUntil = this.#clock.now() + UNREADABLE_FOR;
    // The failure stands in the row.
    model.failure = undefined;
  }

  /** The administrator wants it fetched, or wanted it. */
  commanded(domain: string, isRunning: boolean): void {
    this.#of(domain).isCommanded = isRunning;
  }

  /**
   * The process is gone, and what it kept in memory.
   *
   * @param rowOf what is on disk of a domain
   */
  ended(rowOf: (domain: string) => Entry | undefined): void {
    this.counts.crashes++;
    this.#connections.clear();
    const now = this.#clock.now();
    for (const [domain, model] of this.#domains) {
      const { held } = model;
      const isLost = held?.wasTold === true && held.mustHold(now) && !held.isOf(rowOf(domain)?.pin);
      this.#ruleOf(domain)(!isLost || held?.isExcused, 1, "a policy that was told is lost");
      model.restart();
    }
  }

  /** The clock was stepped by `milliseconds`, and says what it says now. */
  stepped(milliseconds: number): void {
    this.counts.steps++;
    const now = this.#clock.now();
    for (const model of this.#domains.values()) {
      model.steppedSince -= Math.abs(milliseconds);
      for (const policy of new Set([model.held, model.stored, model.incoming]))
        policy?.step(milliseconds, now);
      // What is planned is moved with what happened; by how much is not promised.
      [model.failure, model.storedFailure] = [undefined, undefined];
    }
  }

  /** A fault that the code itself reports. */
  fault(domain: string, error: unknown): void {
    this.#ruleOf(domain)(false, 0, String(error));
  }

  #of(domain: string): DomainModel {
    const model = this.#domains.get(domain) ?? new DomainModel();
    this.#domains.set(domain, model);
    return model;
  }

  #ruleOf(domain: string): (holds: boolean, invariant: number, what: string) => void {
    return (holds, invariant, what) => {
      if (holds) return;
      const at = new Date(this.#clock.now()).toISOString();
      this.violations.push(`invariant ${invariant}: ${at} ${domain}: ${what}`);
    };
  }
}
