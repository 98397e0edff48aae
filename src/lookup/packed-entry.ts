/** An entry as one string. As objects it takes twice the memory, and what most lookups want of it stands in the DomainState. */
import type { Entry, FetchFailure, Pin } from "../store/store.ts";

type PackedPin = readonly [
  recordId: string,
  text: string,
  mode: Pin["mode"],
  mx: readonly string[],
  maxAge: number,
  fetchedAt: number,
  expiresAt: number,
  renewAt: number,
];

type PackedEntry = readonly [
  domain: string,
  checkedAt: number,
  checkAt: number,
  usedAt: number,
  pin: PackedPin | null,
  failure: FetchFailure | null,
];

/** {@link unpackEntry} is the way back. */
export function packEntry({ domain, pin, failure, checkedAt, checkAt, usedAt }: Entry): string {
  const packed: PackedEntry = [
    domain,
    checkedAt,
    checkAt,
    usedAt,
    pin === undefined ? null : packPin(pin),
    failure ?? null,
  ];
  return JSON.stringify(packed);
}

/** What {@link packEntry} was given. */
export function unpackEntry(text: string): Entry {
  const packed: PackedEntry = JSON.parse(text);
  const [domain, checkedAt, checkAt, usedAt, pin, failure] = packed;
  return {
    domain,
    pin: pin === null ? undefined : unpackPin(pin),
    failure: failure ?? undefined,
    checkedAt,
    checkAt,
    usedAt,
  };
}

function packPin({ recordId, text, mode, mx, maxAge, fetchedAt, expiresAt, renewAt }: Pin): PackedPin {
  return [recordId, text, mode, mx, maxAge, fetchedAt, expiresAt, renewAt];
}

function unpackPin([recordId, text, mode, mx, maxAge, fetchedAt, expiresAt, renewAt]: PackedPin): Pin {
  return { recordId, text, mode, mx, maxAge, fetchedAt, expiresAt, renewAt };
}
