/** The administrator's own word on a domain: it goes before the cache and before DANE. */
import type { MapProfile } from "../policy/map-profile.ts";
import { postfixReply } from "../policy/postfix-reply.ts";
import { NOT_FOUND, temporaryFailure } from "../policy/reply.ts";
import type { Reply } from "../policy/reply.ts";

export interface Override {
  /** Lower-case A-labels: `example.com`, or `.example.com` for it and all below. */
  readonly domain: string;
  readonly action: OverrideAction;
  /** Milliseconds since 1970; from then on the override is inert. */
  readonly until: number | undefined;
  readonly comment: string | undefined;
}

export type OverrideAction =
  /** As if the domain had no MTA-STS. */
  | { readonly kind: "off" }
  /** As if its policy were in mode testing: followed, but not enforced. */
  | { readonly kind: "testing" }
  /** As if it had an enforce policy with these MX patterns. */
  | { readonly kind: "enforce"; readonly mx: readonly string[] }
  /** This answer, to the letter; the configuration has checked its grammar. */
  | { readonly kind: "reply"; readonly text: string }
  /** The mail waits. */
  | { readonly kind: "defer" };

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

/** What `override` answers for `domain`, itself or one below it. */
export function overrideReply(override: Override, domain: string, { attributes }: MapProfile): Reply {
  const { action, comment } = override;
  switch (action.kind) {
    case "off":
    case "testing":
      return NOT_FOUND;
    case "enforce": {
      const policy = { domain, mode: "enforce", mx: action.mx, text: "" } as const;
      return postfixReply({ kind: "secure", policy }, attributes);
    }
    case "reply":
      return { status: "OK", text: action.text, shortText: action.text };
    case "defer":
      return temporaryFailure(
        `deferred by the override for ${override.domain}${comment === undefined ? "" : `: ${comment}`}`,
      );
  }
}
