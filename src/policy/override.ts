/** The administrator's own word on a domain: it goes before the cache and before DANE. */
import type { MapProfile } from "./map-profile.ts";
import { postfixReply } from "./postfix-reply.ts";
import { NOT_FOUND, temporaryFailure } from "./reply.ts";
import type { Reply } from "./reply.ts";

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
