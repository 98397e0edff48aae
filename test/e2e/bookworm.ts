import { type DebianRoot, hasDebianRoot, makeDebianRoot } from "./debian-root.ts";

// `tools/runtime/node test/e2e/bookworm.ts`, as root: makes the folder unless it is there. It may be kept and shared.

/** A Debian 12 with its essential packages and apt, as `debian:bookworm-slim` has it. */
const bookworm: DebianRoot = {
  suite: "bookworm",
  folder: process.env["E2E_BOOKWORM"] ?? "/var/cache/stsmapd-e2e/bookworm",
  packages: [],
};

export const bookwormFolder = bookworm.folder;

/** Whether the folder stands. */
export function hasBookworm(): Promise<boolean> {
  return hasDebianRoot(bookworm);
}

if (import.meta.main) await makeDebianRoot(bookworm);
