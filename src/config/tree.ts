/** Trees of plain values, as YAML gives them. */

/** The keys and indexes that lead from the root to a value. */
export type Path = readonly PropertyKey[];

/** `value` without the keys that have no value: such a key counts as not written. Items of lists stay. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isTree(value)) return value;
  const present = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(present.map(([key, item]) => [key, withoutNulls(item)]));
}

/** `root` with what is at `path` changed. Where something other than a map is in the way, it stays as it is. */
export function updateAt(root: unknown, path: Path, change: (value: unknown) => unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return change(root);
  const tree = root ?? {};
  return isTree(tree) ? { ...tree, [step]: updateAt(tree[step], rest, change) } : root;
}

/** What is at `path` below `root`; undefined where there is nothing. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((tree, step) => (isTree(tree) ? tree[step] : undefined), root);
}

/** Freezes `value` and all that hangs on it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

function isTree(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
