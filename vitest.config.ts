import { defineConfig } from "vitest/config";

// `npm test` runs all that needs neither root nor Postfix; `npm run test:e2e` the rest (test/e2e/README.md).
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    testTimeout: 20_000,
  },
});
