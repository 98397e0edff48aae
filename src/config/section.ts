/** A group of keys: camelCase in the program, snake_case in the file, and none beside those declared. */
import * as z from "zod/mini";
import type { Field } from "./fields.ts";

/** One field for each key of `T`: TypeScript refuses a schema that forgets a key or gives it another type. */
export type FieldsOf<T> = { readonly [K in keyof T]-?: Field<T[K]> };

/** A field that has keys of its own, by their names in the file. */
export interface Section<T> extends Field<T> {
  readonly fields: Readonly<Record<string, Field<unknown>>>;
}

/** A rule between keys gets those that are right by themselves, and gives the key (and what lies below it) that breaks it. */
export type Rule<T> = (values: Partial<T>) => Breach<T> | undefined;

export interface Breach<T> {
  readonly key: keyof T & string;
  readonly below?: readonly (string | number)[];
  readonly message: string;
}

/** The message of an unknown key; `params.allowed` of the issue lists the keys there are. */
export const UNKNOWN_KEY = "unknown key";

/** The section with these fields. It may be missing: then every key has its default. */
export function section<T extends object>(fields: FieldsOf<T>, ...rules: readonly Rule<T>[]): Section<T> {
  const inFile: Record<string, Field<unknown>> = renameKeys(fields, snakeCase);
  const stranger = z.custom<never>(() => false, {
    error: UNKNOWN_KEY,
    params: { allowed: Object.keys(inFile) },
  });
  const breaches = z.check<Record<string, unknown>>(
    ({ value, issues }) => {
      const wrong = new Set(issues.map(({ path }) => path?.[0]));
      const right = Object.fromEntries(Object.entries(value).filter(([key]) => !wrong.has(key)));
      // oxlint-disable-next-line no-unsafe-type-assertion -- the fields of T made these values
      const values = renameKeys(right, camelCase) as Partial<T>;
      for (const { key, below = [], message } of rules.flatMap((rule) => rule(values) ?? [])) {
        issues.push({ code: "custom", path: [snakeCase(key), ...below], message, input: value });
      }
    },
    // Also after other problems, so that all are reported together.
    { when: ({ value }) => typeof value === "object" && value !== null },
  );
  const object = z.catchall(z.object(inFile), stranger).check(breaches);
  const renamed = z.codec(object, z.record(z.string(), z.unknown()), {
    decode: (values) => renameKeys(values, camelCase),
    encode: (values) => renameKeys(values, snakeCase),
  });
  const typed = z.pipe(renamed, z.custom<T, Record<string, unknown>>());
  return Object.assign(z.prefault(typed, {}), { fields: inFile });
}

export function isSection(field: Field<unknown>): field is Section<unknown> {
  return "fields" in field;
}

function renameKeys<V>(
  record: Readonly<Record<string, V>>,
  rename: (key: string) => string,
): Record<string, V> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [rename(key), value]));
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(key: string): string {
  return key.replaceAll(/_[a-z]/g, (pair) => pair.slice(1).toUpperCase());
}
