import { defineConfig } from "vitest/config";

// Started by run.ts, as root. The files run side by side: each has machines of its own.
export default defineConfig({
  test: {
    include: ["test/package/**/*.e2e.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
