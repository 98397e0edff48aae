/** Root opens a file in somebody else's folder with his rights: he may have put anything there, and get no more by it than he has. */
import { lstatSync, statSync } from "node:fs";
import process from "node:process";

const ROOT = 0;

/**
 * Root takes on user and group of who owns what is at `path`, and drops all other groups; anybody else stays who he is. It is
 * of this process as a whole, and ends by what is returned. Throws what the system says, and has changed nothing then.
 */
export function becomeOwner(path: string): () => void {
  const { uid, gid } = ownerOf(path);
  const isRoot = process.geteuid?.() === ROOT;
  if (!isRoot || uid === ROOT) return () => {};
  const before = { group: process.getegid?.() ?? ROOT, groups: process.getgroups?.() ?? [] };
  const back = () => {
    process.seteuid?.(ROOT);
    process.setegid?.(before.group);
    process.setgroups?.(before.groups);
  };
  try {
    process.setgroups?.([]);
    process.setegid?.(gid);
    process.seteuid?.(uid);
    return back;
  } catch (error) {
    back();
    throw error;
  }
}

/** A symbolic link is a trap if its owner is not root, wherever it leads; root's own leads where root wants. */
function ownerOf(path: string): { uid: number; gid: number } {
  const found = lstatSync(path);
  return found.uid === ROOT ? statSync(path) : found;
}
