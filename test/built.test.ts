/** What only dist/ can get wrong: files found by name, packages left outside, code that is loaded late. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { Daemon, Home, stsmapd } from "./helpers/stsmapd.ts";
import { secure, startWorld } from "./helpers/world.ts";

const LISTEN_ANYWHERE = '[{ protocol: socketmap, address: "127.0.0.1:0" }]';

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** A folder with what is installed: package.json, dist/ and the packages that are left outside. */
const installed = new Home();
const main = join(installed.path, "dist/main.js");

beforeAll(() => {
  const rolldown = join(ROOT, "node_modules/rolldown/bin/cli.mjs");
  const output = ["--dir", join(installed.path, "dist"), "--log-level", "warn"];
  execFileSync(process.execPath, [rolldown, "-c", ...output], { cwd: ROOT });
  const manifest = readFileSync(join(ROOT, "package.json"), "utf8");
  writeFileSync(join(installed.path, "package.json"), manifest);
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(manifest);
  const modules = join(installed.path, "node_modules");
  mkdirSync(modules);
  for (const name of Object.keys(dependencies)) {
    symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  }
});

afterAll(() => installed[Symbol.dispose]());

it("fetches, remembers and reports as the checkout does", async () => {
  await using world = await startWorld();
  world.publish("example.com");
  using home = new Home();
  const config = home.write(
    "stsmapd.yaml",
    `${home.network(world)}listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\nmetrics: { listen: "127.0.0.1:0" }\n`,
  );
  const env = home.environment();
  const run = (...args: string[]) => stsmapd([...args, "-c", config], env, main);
  await using daemon = await Daemon.start(["-c", config], env, { main });
  using client = await SocketmapClient.connect(daemon.addresses[0]!);

  const { text } = await client.query("postfix", "example.com");
  expect(text, "what speaks HTTPS, in its own file").toBe(secure("example.com"));
  expect(await run("cache", "list"), "the daemon's file").toMatchObject({
    status: 0,
    stdout: expect.stringContaining("example.com"),
  });
  const { metrics } = await daemon.logged("ready");
  const page = await fetch(`http://${String(metrics)}/metrics`);
  expect(await page.text(), "prom-client").toMatch(/^stsmapd_lookups_total.* 1$/m);
  expect(await run("check", "example.com")).toMatchObject({ status: 0 });

  daemon.signal("SIGTERM");
  await daemon.exited;
  expect(await run("cache", "list"), "what the writer thread wrote").toMatchObject({
    status: 0,
    stdout: expect.stringContaining("example.com"),
  });
});

it("writes a log for people", async () => {
  using home = new Home();
  const child = spawn(process.execPath, [main, "serve"], {
    env: home.environment({ STSMAPD_LOG_FORMAT: "pretty", STSMAPD_LISTEN: LISTEN_ANYWHERE }),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  expect(String(line)).toMatch(/INFO.*ready/);
  child.kill("SIGKILL");
});

it("is strict code throughout, as modules are", () => {
  const names = readdirSync(join(installed.path, "dist")).filter((name) => name.endsWith(".js"));
  expect(names).toContain("sqlite-writer.js");
  for (const name of names) {
    const source = readFileSync(join(installed.path, "dist", name), "utf8");
    expect(source.replace(/^#!.*\n/, ""), `dist/${name}`).toMatch(/^"use strict";/);
  }
});

it("has the licences of what is in it", () => {
  const licences = readFileSync(join(installed.path, "dist/LICENSES.txt"), "utf8");
  for (const name of ["zod", "yaml", "pino", "commander"])
    expect(licences).toMatch(new RegExp(`^${name}$`, "m"));
});
