import { defineConfig } from "vitest/config";

// Started by run.ts, as root in namespaces of its own. One file at a time: every file builds its world on the same addresses.
export default defineConfig({
  test: {
    include: ["test/e2e/**/*.e2e.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
