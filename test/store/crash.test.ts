import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { crashRounds } from "./crash.ts";
import { temporaryFolder } from "./entries.ts";

describe("kill -9", () => {
  it("loses no row that was said to be on disk, ten times over", async () => {
    const folder = temporaryFolder();
    try {
      const told = await crashRounds(join(folder.path, "cache.sqlite"), 10);
      expect(told).toBeGreaterThan(100);
    } finally {
      folder.remove();
    }
  }, 60_000);
});
