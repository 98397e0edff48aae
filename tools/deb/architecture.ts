/** What Debian's names of an architecture mean to npm, and to the kernel. */
import { closeSync, openSync, readSync } from "node:fs";
import { filesBelow } from "./files.ts";

export const ARCHITECTURES = {
  amd64: { npm: "x64", elfMachine: 62 },
  arm64: { npm: "arm64", elfMachine: 183 },
} as const;

/** Debian's name of an architecture that packages can be made for. */
export type Architecture = keyof typeof ARCHITECTURES;

/**
 * Makes sure that every ELF file below `folder` runs on `architecture`, and returns how many there are. Throws with the name
 * of the first that does not.
 */
export function checkBinaries(folder: string, architecture: Architecture): number {
  let count = 0;
  for (const path of filesBelow(folder)) {
    const machine = elfMachine(path);
    if (machine === undefined) continue;
    if (machine !== ARCHITECTURES[architecture].elfMachine)
      throw new Error(`${path} is not for ${architecture}: ELF machine ${machine}`);
    count += 1;
  }
  return count;
}

/** `e_machine` of the ELF header, or undefined for a file of another kind. */
function elfMachine(path: string): number | undefined {
  const header = Buffer.alloc(20);
  const file = openSync(path, "r");
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  return header.toString("latin1", 0, 4) === "\u007FELF" ? header.readUInt16LE(18) : undefined;
}
