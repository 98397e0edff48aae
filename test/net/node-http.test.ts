import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

/** Whether an import of `file` has Node load its fetch, which is undici. */
function loadsFetch(file: string): boolean {
  const script = `
    await import(${JSON.stringify(new URL(file, import.meta.url).href)});
    console.log(process.moduleLoadList.some((name) => name.includes("undici")));`;
  const args = ["--input-type=module", "--eval", script];
  return execFileSync(process.execPath, args, { encoding: "utf8" }) === "true\n";
}

it.each([
  ["../../src/server/admin.ts"],
  ["../../src/net/policy-host/request.ts"],
  ["../../src/net/policy-host/proxy-tunnel.ts"],
  ["../../src/cli/admin-client.ts"],
  ["../../src/daemon.ts"],
])("%s does not load fetch", (file) => {
  expect(loadsFetch(file)).toBe(false);
});

it("and an import of node:http would", () => {
  expect(loadsFetch("data:text/javascript,import 'node:http'")).toBe(true);
});
