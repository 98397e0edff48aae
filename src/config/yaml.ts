/** YAML text → values, and for every value the place it was read from. */
import * as yaml from "yaml";
import type { Path } from "./tree.ts";

/** A problem of the text itself. */
interface SyntaxProblem {
  /** `line:column`. */
  readonly place: string;
  readonly path: Path;
  readonly message: string;
}

export interface YamlFile {
  /** Undefined for an empty text. */
  readonly value: unknown;
  readonly problems: readonly SyntaxProblem[];
  /** `line:column`, both from 1, of the key or the value at `path`, or of the nearest one above that is written out. */
  readonly locate: (path: Path, part: "key" | "value") => string;
}

/** Reads one YAML document. Never throws. */
export function readYaml(text: string): YamlFile {
  if (text.trim() === "") return { value: undefined, problems: [], locate: () => "1:1" };
  const { LineCounter, parseDocument } = yaml;
  const lines = new LineCounter();
  // Duplicate keys are sought below, where the key is known.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    logLevel: "error",
  });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}`;
  };
  const syntax = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    place: place(pos[0]),
    path: [],
    message,
  }));
  const duplicates = duplicateKeys(document.contents).map(({ offset, path }) => ({
    place: place(offset),
    path,
    message: "duplicate key (each key once)",
  }));
  const problems = [...syntax, ...duplicates];
  const locate = (path: Path, part: "key" | "value"): string => place(offsetOf(document, path, part));
  if (syntax.length > 0) return { value: undefined, problems, locate };
  try {
    const value: unknown = document.toJS();
    if (containsItself(value)) throw new ReferenceError("an alias stands inside of what it refers to");
    return { value, problems, locate };
  } catch (error) {
    // An alias without an anchor, or aliases that multiply.
    const message = error instanceof Error ? error.message : String(error);
    return { value: undefined, problems: [...problems, { place: "1:1", path: [], message }], locate };
  }
}

/** `value` as YAML. */
export function writeYaml(value: unknown): string {
  return yaml.stringify(value);
}

function offsetOf(document: yaml.Document.Parsed, path: Path, part: "key" | "value"): number {
  const { isAlias, isMap, isScalar, isSeq } = yaml;
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      : undefined;
    const key = pair?.key;
    node = isSeq(node) ? node.items[Number(step)] : pair?.value;
    const atKey = part === "key" && depth === path.length - 1;
    offset = (atKey ? startOf(key) : startOf(node)) ?? startOf(key) ?? offset;
    if (!node) break;
  }
  return offset;
}

/** An alias may stand for what it is a part of; whoever walks over such a value never comes to an end. */
function containsItself(value: unknown, above: readonly unknown[] = []): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (above.includes(value)) return true;
  return Object.values(value).some((item) => containsItself(item, [...above, value]));
}

function startOf(node: unknown): number | undefined {
  return yaml.isNode(node) ? node.range?.[0] : undefined;
}

function duplicateKeys(node: unknown, path: Path = []): { offset: number; path: Path }[] {
  const { isMap, isScalar, isSeq } = yaml;
  if (isSeq(node)) return node.items.flatMap((item, index) => duplicateKeys(item, [...path, index]));
  if (!isMap(node)) return [];
  const seen = new Set<string>();
  return node.items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : "";
    const here = [...path, name];
    const isDuplicate = seen.has(name);
    seen.add(name);
    return [
      ...(isDuplicate ? [{ offset: startOf(key) ?? 0, path: here }] : []),
      ...duplicateKeys(value, here),
    ];
  });
}
