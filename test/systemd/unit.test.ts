/** The unit of the service, and what the documentation says of it. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { UNIT } from "../helpers/unit.ts";

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

const seconds = Number(/^WatchdogSec=(\d+)s$/m.exec(UNIT)?.[1]);

it("waits less for a sign of life than Postfix for an answer, and longer than a machine is usually paused", () => {
  expect(seconds).toBeLessThan(100);
  expect(seconds).toBeGreaterThanOrEqual(60);
});

it.each(["systemd/README.md", "docs/operating.md"])("its watchdog is as %s says", (path) => {
  const text = read(path).replaceAll(/\s+/g, " ");
  expect(text).toMatch(new RegExp(`every ${seconds / 3} seconds`, "i"));
  expect(text).toMatch(new RegExp(`(?:for|After) ${seconds} seconds`));
});

it("its watchdog's questions are as docs/metrics.md says", () => {
  expect(read("docs/metrics.md")).toContain(`one more every ${seconds / 3} seconds`);
});

it("tells systemd to go on where the kernel, for want of memory, ends the search for damage", () => {
  expect(UNIT).toMatch(/^OOMPolicy=continue$/m);
});
