import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, runInTerminal } from "../e2e/process.ts";
import { buildPackages } from "./packages.ts";
import { missingRoots } from "./roots.ts";

// `npm run test:package [-- vitest arguments]`: makes the packages, then installs them where there is no Node.

const node = process.execPath;
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/package/vitest.config.ts"];

const lacking = await missingRequirements();
if (lacking.length > 0) {
  // CI sets REQUIRE_E2E: a suite that is skipped there would prove nothing.
  const required = process.env["REQUIRE_E2E"] === "1";
  console.log(`${required ? "FAILED" : "SKIPPED"}: ${lacking.join("; ")}`);
  process.exitCode = required ? 1 : 0;
} else {
  const folder = await mkdtemp(join(tmpdir(), "stsmapd-package-"));
  try {
    process.exitCode =
      (await buildPackages(folder)) ||
      (await runInTerminal(node, [...vitest, ...process.argv.slice(2)], { PACKAGE_FOLDER: folder }));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function missingRequirements(): Promise<string[]> {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return ["the package is tried as root on Linux"];
  const missing: string[] = [];
  for (const tool of ["ip", "unshare", "nsenter", "dpkg-deb", "lintian"]) {
    const found = await run("sh", ["-c", `command -v ${tool}`]);
    if (found.code !== 0)
      missing.push(
        `there is no ${tool}: apt-get install --no-install-recommends iproute2 lintian util-linux`,
      );
  }
  const roots = await missingRoots();
  if (roots.length > 0)
    missing.push(
      `there is no root folder of ${roots.join(" and ")}: tools/runtime/node test/package/roots.ts`,
    );
  return missing;
}
