/** Finds the override for a domain, and notices those that are applied and those that have run out. */
import type { Override } from "../policy/override.ts";

/** Domains of which it is told that an override is applied: one for `.com` must not fill the log. */
const APPLIED_DOMAINS = 1_000;

export class Overrides {
  readonly #byDomain: ReadonlyMap<string, Override>;
  readonly #expired = new Set<Override>();
  readonly #applied = new Map<string, Override>();
  readonly #onExpired: (override: Override) => void;
  readonly #onApplied: (override: Override, domain: string) => void;

  /**
   * @param onExpired called once for each override that is found to have run out
   * @param onApplied called when a domain is first answered by an override, for the first 1,000 domains
   */
  constructor(
    overrides: readonly Override[],
    onExpired: (override: Override) => void,
    onApplied: (override: Override, domain: string) => void = () => {},
  ) {
    this.#byDomain = new Map(overrides.map((override) => [override.domain, override]));
    this.#onExpired = onExpired;
    this.#onApplied = onApplied;
  }

  /** The override for `domain` at `now`: its own, else that of the nearest `.parent`. */
  find(domain: string, now: number): Override | undefined {
    if (this.#byDomain.size === 0) return undefined;
    const exact = this.#unexpired(domain, now) ?? this.#unexpired(`.${domain}`, now);
    if (exact !== undefined) return exact;
    for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
      const found = this.#unexpired(domain.slice(dot), now);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The same where `domain` is to be answered by it. */
  apply(domain: string, now: number): Override | undefined {
    const override = this.find(domain, now);
    if (override !== undefined) this.#noteApplied(override, domain);
    return override;
  }

  #noteApplied(override: Override, domain: string): void {
    const last = this.#applied.get(domain);
    if (last === override || (last === undefined && this.#applied.size >= APPLIED_DOMAINS)) return;
    this.#applied.set(domain, override);
    this.#onApplied(override, domain);
  }

  #unexpired(name: string, now: number): Override | undefined {
    const override = this.#byDomain.get(name);
    if (override === undefined || now < (override.until ?? Infinity)) return override;
    if (!this.#expired.has(override)) {
      this.#expired.add(override);
      this.#onExpired(override);
    }
    return undefined;
  }
}
