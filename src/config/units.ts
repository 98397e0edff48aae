/** Durations and sizes as the configuration writes them. */
import { BadValue, quote } from "./bad-value.ts";

// Largest first, so that formatting finds the shortest form.
const MILLISECONDS: Record<string, number> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const BYTES: Record<string, number> = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 };

/** `500ms`, `20s`, `5m`, `1h`, `60d`, or whole seconds → milliseconds. Throws {@link BadValue}. */
export function parseDuration(value: unknown): number {
  return parse(value, MILLISECONDS, "s", "duration", "500ms, 20s, 5m, 1h, 60d, or whole seconds");
}

/** Milliseconds → the shortest form {@link parseDuration} reads. */
export function formatDuration(milliseconds: number): string {
  return milliseconds === 0 ? "0s" : format(milliseconds, MILLISECONDS);
}

/** `64KiB`, `1MiB`, `1GiB`, or whole bytes → bytes. Throws {@link BadValue}. */
export function parseSize(value: unknown): number {
  return parse(value, BYTES, "B", "size", "64KiB, 1MiB, 1GiB, or whole bytes");
}

/** Bytes → the shortest form {@link parseSize} reads. */
export function formatSize(bytes: number): string {
  return bytes === 0 ? "0B" : format(bytes, BYTES);
}

function parse(
  value: unknown,
  units: Record<string, number>,
  unitless: string,
  noun: string,
  allowed: string,
): number {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" ? /^(\d+)([A-Za-z]*)$/.exec(text) : null;
  const unit = match ? units[match[2] || unitless] : undefined;
  const amount = match && unit ? Number(match[1]) * unit : Number.NaN;
  if (!Number.isSafeInteger(amount)) throw new BadValue(`${quote(value)} is no ${noun} (${allowed})`);
  return amount;
}

function format(amount: number, units: Record<string, number>): string {
  const [name, factor] = Object.entries(units).find(([, unit]) => amount % unit === 0) ?? ["", 1];
  return `${amount / factor}${name}`;
}
