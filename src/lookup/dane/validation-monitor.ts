/** Watches whether our resolver validates DNSSEC: without that its AD bit, and so DANE, means nothing. */
import type { Validation, ValidationState } from "../../net/dns/ad-trust.ts";

export interface ValidationMonitorDeps {
  /** Whether the AD bit of the resolvers in force may be trusted at all; without that nothing is tested. */
  readonly isTrusted: () => boolean;
  /** One self-test. Never rejects. */
  readonly test: () => Promise<Validation>;
  /** Called after the first test and whenever the outcome is another. */
  readonly onChange: (validation: Validation) => void;
  /** Milliseconds between two tests. */
  readonly interval: number;
}

export class ValidationMonitor {
  readonly #deps: ValidationMonitorDeps;
  #last: Validation | undefined;
  #hasValidated = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: ValidationMonitorDeps) {
    this.#deps = deps;
  }

  /** The outcome of the last test; undefined before the first. */
  get last(): Validation | undefined {
    return this.#last;
  }

  /** The same for the administrator. */
  get state(): ValidationState {
    return this.#deps.isTrusted() ? (this.#last?.state ?? "unknown") : "ad-not-trusted";
  }

  /** Whether a resolver that was seen to validate does so no longer. */
  get isLost(): boolean {
    return this.#hasValidated && this.state === "not-validating";
  }

  /**
   * Whether DANE discovery makes sense. Only a resolver that was seen not to validate is ruled out: while DNS cannot be
   * asked, discovery finds that out by itself and says "unknown".
   */
  get mayValidate(): boolean {
    return this.#last?.state !== "not-validating";
  }

  /** Tests now and then again and again, until {@link stop}. */
  start(): void {
    void this.#run();
    this.#timer = setInterval(() => void this.#run(), this.#deps.interval);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #run(): Promise<void> {
    if (!this.#deps.isTrusted()) return;
    const before = this.#last?.state;
    this.#last = await this.#deps.test();
    this.#hasValidated ||= this.#last.state === "validating";
    if (this.#last.state !== before) this.#deps.onChange(this.#last);
  }
}
