/** postfix-examples/compose.yaml, read and not run: test/e2e/compose.e2e.ts runs what is in it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DCLinter } from "dclint";
import { validate } from "dockerfile-utils";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { Home, stsmapd } from "./helpers/stsmapd.ts";

const file = fileURLToPath(new URL("../postfix-examples/compose.yaml", import.meta.url));
const { services } = parse(readFileSync(file, "utf8"));

it("is what the Compose specification allows, and the linter finds nothing", () => {
  const rules = { "require-quotes-in-ports": [1, { quoteType: "double" }] } as const;
  const linter = new DCLinter({ rules: { ...rules }, quiet: false, debug: false, exclude: [] });
  const results: { readonly messages: readonly unknown[] }[] = linter.lintFiles([file], false);
  expect(results.flatMap(({ messages }) => messages)).toEqual([]);
});

it("stsmapd takes its environment", async () => {
  using home = new Home();
  const { status, stdout, stderr } = await stsmapd(
    ["config"],
    home.environment(services.stsmapd.environment),
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(parse(stdout).dns).toMatchObject({ servers: ["172.30.53.53:53"], trust_ad: "always" });
});

it("the Dockerfile in it has no fault either", () => {
  expect(validate(services.unbound.build.dockerfile_inline)).toEqual([]);
});
