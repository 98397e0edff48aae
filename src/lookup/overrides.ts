/** Finds the override for a domain, and notices those that have run out. */
import type { Override } from "../policy/override.ts";

export class Overrides {
  readonly #byDomain: ReadonlyMap<string, Override>;
  readonly #expired = new Set<Override>();
  readonly #onExpired: (override: Override) => void;

  /** @param onExpired called once for each override that is found to have run out */
  constructor(overrides: readonly Override[], onExpired: (override: Override) => void) {
    this.#byDomain = new Map(overrides.map((override) => [override.domain, override]));
    this.#onExpired = onExpired;
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
