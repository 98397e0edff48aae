/** Just enough of DER (ITU-T X.690) to write a certificate; Node can sign and read them, but not make them. */

type Der = Buffer;

function tagged(tag: number, ...contents: Uint8Array[]): Der {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, content]);
}

export const sequence = (...items: Uint8Array[]): Der => tagged(0x30, ...items);
export const set = (...items: Uint8Array[]): Der => tagged(0x31, ...items);
export const octetString = (content: Uint8Array): Der => tagged(0x04, content);
export const bitString = (content: Uint8Array, unusedBits = 0): Der =>
  tagged(0x03, Buffer.of(unusedBits), content);
export const boolean = (value: boolean): Der => tagged(0x01, Buffer.of(value ? 0xff : 0));
export const utf8String = (text: string): Der => tagged(0x0c, Buffer.from(text));

/** A positive integer, from its octets. */
export const integer = (octets: Uint8Array): Der =>
  (octets[0] ?? 0) < 0x80 ? tagged(0x02, octets) : tagged(0x02, Buffer.of(0), octets);

/** `[number]` with constructed content (EXPLICIT), or primitive (IMPLICIT). */
export const explicit = (number: number, content: Uint8Array): Der => tagged(0xa0 | number, content);
export const implicit = (number: number, content: Uint8Array): Der => tagged(0x80 | number, content);

/** GeneralizedTime, in whole seconds. */
export const time = (date: Date): Der =>
  tagged(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]|\..*/g, "")}Z`));

/** Dotted decimal. */
export function objectIdentifier(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(value: number): number[] {
  const octets = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) octets.unshift((left & 0x7f) | 0x80);
  return octets;
}
