import { enterNamespaces, insideNamespaces, prepareNamespaces } from "./namespaces.ts";
import { runInTerminal } from "./process.ts";
import { missingDebianRoots, missingRequirements } from "./requirements.ts";

// `npm run test:e2e [-- vitest arguments]`: starts itself again in namespaces of its own, and there the suite.

const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/e2e/vitest.config.ts"];
const vitestArguments = process.argv.slice(2);

if (insideNamespaces()) {
  await prepareNamespaces();
  process.exitCode = await runInTerminal(process.execPath, [...vitest, ...vitestArguments]);
} else {
  // CI sets REQUIRE_E2E: a suite that is skipped there would prove nothing.
  const required = process.env["REQUIRE_E2E"] === "1";
  const missing = await missingRequirements();
  const missingRoots = await missingDebianRoots();
  if (required) missing.push(...missingRoots);
  if (missing.length === 0) {
    if (missingRoots.length > 0) console.log(`SKIPPED in part: ${missingRoots.join("; ")}`);
    process.exitCode = await enterNamespaces([process.execPath, import.meta.filename, ...vitestArguments]);
  } else {
    console.log(`${required ? "FAILED" : "SKIPPED"}: ${missing.join("; ")}`);
    process.exitCode = required ? 1 : 0;
  }
}
