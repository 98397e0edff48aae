import { hasDebianRoot, makeDebianRoot, plainDebian } from "./debian-root.ts";

// `tools/runtime/node test/e2e/bookworm.ts`, as root: makes the folder unless it is there. It may be kept and shared.

const bookworm = plainDebian("bookworm");

/** The root folder of a Debian 12, as `debian:bookworm-slim` has it. */
export const bookwormFolder = bookworm.folder;

/** Whether the folder stands. */
export function hasBookworm(): Promise<boolean> {
  return hasDebianRoot(bookworm);
}

if (import.meta.main) await makeDebianRoot(bookworm);
