/** The kinds of value a key may have. Each reads what YAML gives and writes it back in the file's own vocabulary. */
import * as z from "zod/mini";
import { canConnectTo, canListenAt, MAX_SOCKET_FOLDER, MAX_SOCKET_PATH } from "../net/socket-path.ts";
import { isHostName } from "../policy/domain.ts";
import { BadValue, quote } from "./bad-value.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

/** Reads a value of the file into a `T`; encodes a `T` back. */
export type Field<T> = z.ZodMiniType<T>;

/** Characters of a secret. */
const MIN_SECRET = 16;

interface Range {
  readonly min: number;
  readonly max: number;
}

/** A field from a reader, which throws {@link BadValue}, and a writer. */
export function field<T>(read: (value: unknown) => T, write: (value: T) => unknown): Field<T> {
  return z.codec(z.unknown(), z.custom<T>(), {
    decode: (value, context) => {
      try {
        return read(value);
      } catch (error) {
        if (!(error instanceof BadValue)) throw error;
        context.issues.push({ code: "custom", message: error.message, input: value });
        return z.NEVER;
      }
    },
    encode: write,
  });
}

/** `field`, reading `value`, written as in the file, where the key is missing. */
export function withDefault<T>(of: Field<T>, value: unknown): Field<T> {
  return z.prefault(of, value);
}

/** A duration in milliseconds; the bounds are written as in the file. */
export function duration(range: { min: string; max: string }): Field<number> {
  const bounds = { min: parseDuration(range.min), max: parseDuration(range.max) };
  return field((value) => within(parseDuration(value), bounds, formatDuration), formatDuration);
}

/** A size in bytes; the bounds are written as in the file. */
export function size(range: { min: string; max: string }): Field<number> {
  const bounds = { min: parseSize(range.min), max: parseSize(range.max) };
  return field((value) => within(parseSize(value), bounds, formatSize), formatSize);
}

export function integer(range: Range): Field<number> {
  const read = (value: unknown): number => {
    if (typeof value === "number" && Number.isInteger(value)) return within(value, range, String);
    throw new BadValue(`${quote(value)} is no whole number (${range.min} to ${range.max})`);
  };
  return field(read, (value) => value);
}

export const truth: Field<boolean> = field(readTruth, (value) => value);

/** A domain name in A-labels, or `.` for the root. */
export const dnsName: Field<string> = field(readDnsName, String);

/** A part of a whole, from 0 to 1. */
export const fraction: Field<number> = field(readFraction, (value) => value);

/** One of a few words. */
export function oneOf<const T extends string | boolean>(words: readonly T[]): Field<T> {
  const read = (value: unknown): T => {
    const word = words.find((candidate) => candidate === value);
    if (word !== undefined) return word;
    throw new BadValue(`${quote(value)} is not a choice (${words.join(", ")})`);
  };
  return field(read, (value) => value);
}

/** A path of the file system; a relative one starts at the working directory. */
export const filePath: Field<string> = field(readPath, String);

/** A path that may be null: none. */
export const pathOrNull: Field<string | undefined> = field(
  (value) => (value === null ? undefined : readPath(value)),
  (path) => path ?? null,
);

/** A secret, or null: none. It is not written back. */
export const secretOrNull: Field<string | undefined> = field(readSecret, (secret) =>
  secret === undefined ? null : "*".repeat(MIN_SECRET),
);

/** The path of a unix socket that another program listens at, or null: none. */
export const socketPathOrNull: Field<string | undefined> = field(readCollectorPath, (path) => path ?? null);

/** The path of a unix socket to listen at, or `none`. */
export const socketPathOrNone: Field<string | undefined> = field(readSocketPath, (path) => path ?? "none");

/** Permission bits. */
export const fileMode: Field<number> = field(readMode, (value) => value.toString(8).padStart(4, "0"));

/** A name of /etc/passwd or /etc/group, or a number. */
export const account: Field<string | number> = field(readAccount, (value) => value);

/** A list whose items are all of one kind. */
export function list<T>(item: Field<T>): Field<readonly T[]> {
  return z.array(item);
}

/** A key that may be missing and has no default. */
export function optional<T>(of: Field<T>): Field<T | undefined> {
  return z.optional(of);
}

function within(value: number, { min, max }: Range, write: (value: number) => string): number {
  if (value >= min && value <= max) return value;
  throw new BadValue(
    `${write(value)} is too ${value < min ? "small" : "large"} (${write(min)} to ${write(max)})`,
  );
}

function readFraction(value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new BadValue(`${quote(value)} is no fraction (0 to 1)`);
}

function readTruth(value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new BadValue(`${quote(value)} is neither true nor false`);
}

function readDnsName(value: unknown): string {
  if (typeof value === "string" && (value === "." || isHostName(value.toLowerCase())))
    return value.toLowerCase();
  throw new BadValue(`${quote(value)} is no domain name (for example . or example.com)`);
}

/** Throws {@link BadValue} where `path` is too long for a socket to listen at. */
export function listeningPath(path: string): string {
  if (canListenAt(path)) return path;
  const limits = `at most ${MAX_SOCKET_PATH} bytes, its folder at most ${MAX_SOCKET_FOLDER}`;
  throw new BadValue(`the path of the socket is too long (${limits})`);
}

function readCollectorPath(value: unknown): string | undefined {
  if (value === null) return undefined;
  const path = readPath(value);
  if (canConnectTo(path)) return path;
  throw new BadValue(`the path of the socket is too long (at most ${MAX_SOCKET_PATH} bytes)`);
}

function readSocketPath(value: unknown): string | undefined {
  if (value === "none") return undefined;
  if (typeof value === "string" && /^\/[^\0]+$/.test(value)) return listeningPath(value);
  throw new BadValue(`${quote(value)} is no absolute path (/run/stsmapd/admin.sock, or none)`);
}

function readSecret(value: unknown): string | undefined {
  if (value === null) return undefined;
  if (typeof value === "string" && value.length >= MIN_SECRET) return value;
  // Without the value: it is a secret.
  throw new BadValue(`no secret that could be kept (${MIN_SECRET} characters or more)`);
}

function readMode(value: unknown): number {
  if (typeof value === "string" && /^0?[0-7]{3}$/.test(value)) return Number.parseInt(value, 8);
  // YAML reads 0660 without quotes as the decimal number 660.
  throw new BadValue(`${quote(value)} is no file mode (octal and in quotes, such as "0660")`);
}

function readAccount(value: unknown): string | number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  if (typeof value === "string" && /^[a-z_][a-z0-9_.-]*$/i.test(value)) return value;
  throw new BadValue(`${quote(value)} is no account (a name or a number)`);
}

function readPath(value: unknown): string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return value;
  throw new BadValue(`${quote(value)} is no path (for example /var/lib/stsmapd/cache.sqlite)`);
}
