import { defineConfig } from "vitest/config";

// `npm test` runs all that needs neither root nor Postfix; `npm run test:e2e` the rest (test/e2e/README.md).
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    // For what hangs. How long a thing takes is no test's business: the machine may be busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
});
