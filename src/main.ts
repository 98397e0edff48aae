#!/usr/bin/env node
/** The executable: refuses a Node that is too old before anything native is loaded, then hands over to the command line. */
import process from "node:process";

/** The least version that runs better-sqlite3 13 and node:tls as we use it; package.json `engines` says the same. */
const LEAST_NODE = [22, 19] as const;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < LEAST_NODE[0] || (major === LEAST_NODE[0] && minor < LEAST_NODE[1])) {
  process.stderr.write(
    `stsmapd needs Node ${LEAST_NODE.join(".")} or later; this is ${process.versions.node}\n`,
  );
  process.exitCode = 1;
} else {
  leaveVanishedFolder();
  void main();
}

async function main(): Promise<void> {
  const { run } = await import("./cli/program.ts");
  process.exitCode = await run(process.argv);
}

/** Where the working folder is gone no worker thread starts, and without that of the store no policy is on disk. */
function leaveVanishedFolder(): void {
  try {
    process.cwd();
  } catch {
    process.chdir("/");
  }
}
