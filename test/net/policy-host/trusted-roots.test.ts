import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { systemRoots } from "../../../src/net/policy-host/system-roots.ts";
import { readRootsFile } from "../../../src/net/policy-host/trusted-roots.ts";
import { createCa } from "../../helpers/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "stsmapd-roots-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const path = join(folder, "roots.pem");
  writeFileSync(path, content);
  return path;
}

describe("a file of roots", () => {
  it("may hold several certificates, with text between them", () => {
    const [one, two] = [createCa("One").pem, createCa("Two").pem];
    expect(readRootsFile(file(`# One\n${one}\nIssuer: Two\n${two}`))).toEqual([one.trim(), two.trim()]);
  });

  it.each<[string, string, string]>([
    ["no-certificate", "no PEM certificate in", ""],
    ["no-certificate", "no PEM certificate in", createCa().issue({ names: ["a.example"] }).key],
    ["no-certificate", "certificate 1 in", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
  ])("is refused as %s: %s", (code, message, content) => {
    const read = (): unknown => readRootsFile(file(content));
    expect(read).toThrow(expect.objectContaining({ name: "TrustedRootsError", code }));
    expect(read).toThrow(message);
  });

  it("must be readable", () => {
    const path = join(folder, "missing.pem");
    const read = (): unknown => readRootsFile(path);
    expect(read).toThrow(expect.objectContaining({ name: "TrustedRootsError", code: "unreadable" }));
    expect(read).toThrow(/missing\.pem.*ENOENT/);
    expect(read).not.toThrow(/systemd/);
  });

  it.each(["/home/nobody/ca.pem", "/root/nothing/ca.pem", "/run/user/0/nothing.pem"])(
    "in %s, which the unit of systemd hides, is said to be so",
    (path) => {
      expect(() => readRootsFile(path)).toThrow(
        /^cannot read .*: E[A-Z]+: .*; systemd's .* sees nothing below \/home.*: put it into \/etc\/stsmapd$/,
      );
    },
  );
});

it("the system or Node has roots, each once", () => {
  const roots = systemRoots();
  expect(roots.length).toBeGreaterThan(10);
  expect(new Set(roots).size).toBe(roots.length);
});
