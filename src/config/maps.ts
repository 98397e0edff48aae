/** `maps:`, the profiles by the name of the map in Postfix's configuration. */
import * as z from "zod/mini";
import type { MapProfile } from "../policy/map-profile.ts";
import { BadValue, quote } from "./bad-value.ts";
import { type Field, field, oneOf, optional, withDefault } from "./fields.ts";
import { section } from "./section.ts";

/** What an unknown name stands for, and the base of every new profile. */
const POSTFIX: MapProfile = {
  attributes: "3.4",
  dane: "yield",
  testing: "notfound",
  dnsFailure: "notfound",
  rollout: 100,
};

/** The profiles there are without configuration. `QUERY` and `QUERYwithTLSRPT` are the names postfix-tlspol answers to. */
const BUILT_IN_MAPS: Readonly<Record<string, MapProfile>> = {
  postfix: POSTFIX,
  postfix310: {
    attributes: "3.10",
    dane: "yield",
    testing: "notfound",
    dnsFailure: "notfound",
    rollout: 100,
  },
  QUERY: { attributes: "3.4", dane: "dane-only", testing: "notfound", dnsFailure: "notfound", rollout: 100 },
  QUERYwithTLSRPT: {
    attributes: "3.10",
    dane: "dane-only",
    testing: "notfound",
    dnsFailure: "notfound",
    rollout: 100,
  },
};

const attributes: Field<MapProfile["attributes"]> = z.codec(z.unknown(), oneOf(["3.4", "3.10"]), {
  decode: unquotedVersion,
  encode: (value) => value,
});

/** To observe is to enforce nothing. */
const rollout: Field<number> = field(readRollout, (percent) => (percent === 0 ? "observe" : `${percent}%`));

type Changes = { readonly [K in keyof MapProfile]: MapProfile[K] | undefined };

const changes = section<Changes>({
  attributes: optional(attributes),
  dane: optional(oneOf(["yield", "dane-only", "ignore"])),
  testing: optional(oneOf(["notfound", "enforce"])),
  dnsFailure: optional(oneOf(["notfound", "defer"])),
  rollout: optional(rollout),
});

type Profiles = Readonly<Record<string, MapProfile>>;

const merged: Field<Profiles> = z.codec(z.record(z.string(), changes), z.custom<Profiles>(), {
  decode: (inFile, context) => {
    for (const name of Object.keys(inFile).filter((candidate) => !/^[!-~]+$/.test(candidate))) {
      const message = "no name for a map (printable ASCII without spaces)";
      context.issues.push({ code: "custom", path: [name], message, input: name });
    }
    return merge(inFile);
  },
  encode: (profiles) => ({ ...profiles }),
});

/** The profiles of the file over the built-in ones, key by key. */
export const maps: Field<Profiles> = withDefault(merged, {});

function merge(inFile: Readonly<Record<string, Changes>>): Profiles {
  // Without a prototype: Postfix may ask for a map called `constructor`.
  const result: Record<string, MapProfile> = Object.assign(Object.create(null), BUILT_IN_MAPS);
  for (const [name, profile] of Object.entries(inFile)) {
    const base = result[name] ?? POSTFIX;
    result[name] = {
      attributes: profile.attributes ?? base.attributes,
      dane: profile.dane ?? base.dane,
      testing: profile.testing ?? base.testing,
      dnsFailure: profile.dnsFailure ?? base.dnsFailure,
      rollout: profile.rollout ?? base.rollout,
    };
  }
  return result;
}

function unquotedVersion(value: unknown): unknown {
  // Without quotes, YAML takes 3.4 and 3.10 for numbers, and 3.10 for 3.1.
  return value === 3.1 ? "3.10" : typeof value === "number" ? String(value) : value;
}

function readRollout(value: unknown): number {
  if (value === "observe") return 0;
  const percent =
    typeof value === "string" && /^\d{1,3}(?:\.\d{1,2})?%$/.test(value) ? Number.parseFloat(value) : NaN;
  if (percent >= 0 && percent <= 100) return percent;
  throw new BadValue(`${quote(value)} is no part of all domains (observe, or 0% to 100%)`);
}
