/** The command line: help, usage, configuration, and what is said of failures. */
import { createServer } from "node:net";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Home, stsmapd } from "../helpers/stsmapd.ts";

const HOME = { HOME: "/nonexistent" };

describe("help", () => {
  it("lists the commands", async () => {
    const { status, stdout, stderr } = await stsmapd(["--help"], HOME);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const command of ["serve", "check", "query", "health", "config"])
      expect(stdout).toMatch(new RegExp(`^ +${command} `, "m"));
  });

  it.each([
    ["serve", "smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix"],
    ["check", "2 it cannot be told"],
    ["query", "69 the daemon does not answer"],
    ["doctor", "1 warning or unknown, 2 problem"],
    ["health", "0 it answers, 69 it does not"],
    ["config", "--config <file>"],
  ])("of %s says what matters", async (command, text) => {
    const { status, stdout } = await stsmapd([command, "--help"], HOME);
    expect(status).toBe(0);
    expect(stdout).toContain(text);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(140);
  });

  it("is not the version", async () => {
    expect(await stsmapd(["--version"], HOME)).toMatchObject({ status: 0, stdout: "0.1.0\n" });
  });
});

describe("a wrong command line is status 64", () => {
  it.each([
    [["frobnicate"]],
    [["check"]],
    [["check", "--no-such-option", "d.example"]],
    [["query", "--protocol", "http", "d.example"]],
    [["query", "--server", "nowhere", "d.example"]],
    [[]],
  ])("%j", async (args) => {
    const { status, stdout, stderr } = await stsmapd(args, HOME);
    expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
    expect(stderr).toContain("stsmapd");
  });
});

describe("config", () => {
  it("prints what is in force, which is itself a configuration", async () => {
    using home = new Home();
    const env = home.environment({ STSMAPD_LOG_LEVEL: "debug", XDG_STATE_HOME: "/state" });
    const first = await stsmapd(["config"], env);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout).toMatch(/^ +path: \/state\/stsmapd\/cache\.sqlite$/m);
    expect(first.stdout).toMatch(/^ +level: debug$/m);
    const file = home.write("effective.yaml", first.stdout);
    expect(await stsmapd(["config", "-c", file], home.environment())).toEqual(first);
    const byVariable = home.environment({ STSMAPD_CONFIG: file });
    expect(await stsmapd(["config"], byVariable)).toEqual(first);
  });

  it("names file, line, column and key of what is wrong: status 78", async () => {
    using home = new Home();
    const file = home.write("bad.yaml", "log:\n  level: loud\nlistne: []\n");
    const { status, stdout, stderr } = await stsmapd(["config", "-c", file], home.environment());
    expect({ status, stdout }).toEqual({ status: 78, stdout: "" });
    expect(stderr).toContain(`${file}:2:10: log.level: `);
    expect(stderr).toContain(`${file}:3:1: listne: `);
  });
});

const listenAt = (address: string) => `listen: [{ protocol: socketmap, address: "${address}" }]\n`;

async function serve(home: Home, text: string) {
  const { status, stdout, stderr } = await stsmapd(
    ["serve", "-c", home.write("c.yaml", text)],
    home.environment(),
  );
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^stsmapd: .*\n$/);
  return { status, stderr };
}

describe("serve says in one line what the administrator must mend", () => {
  it("a port that is taken: 69", async () => {
    using home = new Home();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { status, stderr } = await serve(home, listenAt(`127.0.0.1:${port}`));
    server.close();
    expect(status).toBe(69);
    expect(stderr).toContain(`127.0.0.1:${port}`);
  });

  it("a cache that cannot be made: 73", async () => {
    using home = new Home();
    const { status, stderr } = await serve(
      home,
      `${listenAt("127.0.0.1:0")}store: { path: /dev/null/cache.sqlite }\n`,
    );
    expect(status).toBe(73);
    expect(stderr).toContain("cannot make the folder /dev/null");
  });

  it("a cache that is a folder: 73", async () => {
    using home = new Home();
    const path = join(home.path, "folder");
    mkdirSync(path);
    const { status, stderr } = await serve(home, `${listenAt("127.0.0.1:0")}store: { path: ${path} }\n`);
    expect(status).toBe(73);
    expect(stderr).toContain(path);
  });

  it("a CA file that is none: 78", async () => {
    using home = new Home();
    const roots = home.write("ca.pem", "no certificate");
    const { status, stderr } = await serve(home, `${listenAt("127.0.0.1:0")}fetch: { ca_file: ${roots} }\n`);
    expect(status).toBe(78);
    expect(stderr).toContain(`no PEM certificate in ${roots}`);
  });

  it("a configuration file that is not there: 78", async () => {
    const { status, stderr } = await stsmapd(["serve", "-c", "/nonexistent/c.yaml"], HOME);
    expect(status).toBe(78);
    expect(stderr).toMatch(/^stsmapd: \/nonexistent\/c\.yaml: cannot be read: .*\n$/);
  });
});
