/** Root opens a file in somebody else's folder with his rights: he may have put anything there, and get no more by it than he has. */
import { lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";

const ROOT = 0;

/**
 * Root takes on user and group of who may say what is at `path`, and drops all other groups; anybody else stays who he is. It is
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

/**
 * The first that is not root, of those who may say what is opened: the owner of the link at `path`, if it is one, and of the
 * folder it lies in, of what it leads to, and of the folder of that. Root where it is all his.
 */
function ownerOf(path: string): { uid: number; gid: number } {
  const real = realpathSync(path);
  const all = [lstatSync(path), statSync(dirname(path)), statSync(real), statSync(dirname(real))];
  return all.find(({ uid }) => uid !== ROOT) ?? { uid: ROOT, gid: ROOT };
}
