import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, DEFAULT_CONFIG_PATH, type LoadOptions, loadConfig } from "../../src/config.ts";

describe("loadConfig", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stsmapd-config-"));
    file = join(folder, "stsmapd.yaml");
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("reads the file it is given, even if the environment names another", () => {
    writeFileSync(file, "log: { level: warn }");
    expect(loadConfig({ path: file, env: { STSMAPD_CONFIG: "/nowhere" } }).log.level).toBe("warn");
  });

  it("reads the file that STSMAPD_CONFIG names", () => {
    writeFileSync(file, "log: { level: warn }");
    expect(loadConfig({ env: { STSMAPD_CONFIG: file } }).log.level).toBe("warn");
  });

  it("reads the default file where none is named", () => {
    const read: string[] = [];
    const readFile = (path: string): string => {
      read.push(path);
      return "log: { level: warn }";
    };
    expect(loadConfig({ env: {}, readFile }).log.level).toBe("warn");
    expect(read).toEqual([DEFAULT_CONFIG_PATH]);
  });

  it("runs without a file where none is named", () => {
    expect(loadConfig({ env: { STSMAPD_CONFIG: "" }, readFile: failing("ENOENT") }).log.level).toBe("info");
  });

  it("refuses a file that is named and missing", () => {
    const missing = join(folder, "missing.yaml");
    for (const options of [{ path: missing, env: {} }, { env: { STSMAPD_CONFIG: missing } }]) {
      const error = refusal(options);
      expect(error).toMatchObject({ code: "unreadable", cause: { code: "ENOENT" } });
      expect(error.message).toContain(missing);
    }
  });

  it("refuses a default file that is there and cannot be read", () => {
    expect(refusal({ env: {}, readFile: failing("EACCES") }).problems).toEqual([
      `${DEFAULT_CONFIG_PATH}: cannot be read: EACCES: it failed`,
    ]);
  });

  it("names the file before each problem, and has them all in its message", () => {
    writeFileSync(file, "log:\n  level: loud\n  fromat: json\n");
    const error = refusal({ path: file, env: {} });
    expect(error.code).toBe("invalid");
    expect(error.message.split("\n")).toEqual([
      `${file}:2:10: log.level: "loud" is not a choice (trace, debug, info, warn, error)`,
      `${file}:3:3: log.fromat: unknown key (did you mean format?)`,
    ]);
  });
});

function refusal(options: LoadOptions): ConfigError {
  try {
    loadConfig(options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** A `readFile` that fails as the system does. */
function failing(code: string): () => never {
  return () => {
    throw Object.assign(new Error(`${code}: it failed`), { code });
  };
}
