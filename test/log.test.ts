import { closeSync, fstatSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Logger, type LogOptions, createLogger } from "../src/log.ts";

function writeAtEachLevel(logger: Logger): void {
  logger.debug("a");
  logger.error("b");
  logger.info("c");
  logger.warn("d");
}

describe("createLogger", () => {
  let folder: string;
  let file: string;
  let fd: number;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stsmapd-log-"));
    file = join(folder, "log");
    fd = openSync(file, "w");
  });

  afterEach(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  /** What is in the file at the moment `write` returns. */
  async function written(
    options: LogOptions,
    terminal: boolean,
    write: (logger: Logger) => void,
  ): Promise<string> {
    write(await createLogger(options, fd, terminal));
    return readFileSync(file, "utf8");
  }

  it("writes a JSON object a line, with the time in ISO 8601 and the level by name", async () => {
    const text = await written({ level: "info", format: "json" }, true, (logger) => {
      logger.info({ domain: "example.com" }, "resolved");
      logger.warn("late");
    });
    const [first, second, ...rest] = text
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    expect(first).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      domain: "example.com",
      msg: "resolved",
    });
    expect(second).toMatchObject({ level: "warn", msg: "late" });
    expect(rest).toEqual([]);
  });

  it("writes the priority before each line where the journal takes them, and nowhere else", async () => {
    const { dev, ino } = fstatSync(fd);
    const options = { level: "debug", format: "json" } as const;
    const text = await written({ ...options, journalStream: `${dev}:${ino}` }, false, writeAtEachLevel);
    expect(text.match(/^<\d>(?=\{.*\}$)/gmu)).toEqual(["<7>", "<3>", "<6>", "<4>"]);

    ftruncateSync(fd);
    const elsewhere = await written(
      { ...options, journalStream: `${dev}:${ino + 1}` },
      false,
      writeAtEachLevel,
    );
    expect(elsewhere.replaceAll("\0", "")).toMatch(/^\{/u);
  });

  it("writes the cause of an error", async () => {
    const text = await written({ level: "info", format: "json" }, false, (logger) => {
      logger.error({ err: new Error("no policy", { cause: new Error("no route") }) }, "failed");
    });
    expect(text).toContain("no policy");
    expect(text).toContain("no route");
  });

  it("writes nothing below its level", async () => {
    const text = await written({ level: "warn", format: "json" }, false, (logger) => {
      logger.info("quiet");
    });
    expect(text).toBe("");
  });

  it.each([
    ["auto", true, true], // a person looks on
    ["auto", false, false], // a log collector
    ["pretty", false, true], // asked for, wherever it goes
    ["json", true, false], // asked for, wherever it goes
  ] as const)("with format %s and terminal %s, is pretty: %s", async (format, terminal, pretty) => {
    const text = await written({ level: "info", format }, terminal, (logger) => {
      logger.info({ domain: "example.com" }, "resolved");
    });
    expect(text.startsWith("{")).toBe(!pretty);
    expect(text).toContain("resolved");
    expect(text).toContain("example.com");
  });

  it("writes no colours where there is no terminal", async () => {
    const text = await written({ level: "info", format: "pretty" }, false, (logger) => {
      logger.error("plain");
    });
    expect(text).toContain("ERROR: plain");
    expect(text).not.toContain("\u001B");
  });
});
