/** The log in a process of its own, with standard output in a bad state. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { Home } from "./helpers/stsmapd.ts";
import { startWorld, type World } from "./helpers/world.ts";

const LOG = new URL("../src/log.ts", import.meta.url);
const MAIN = new URL("../src/main.ts", import.meta.url);

/** Logs one line for each line that it reads, and says on standard error what became of the call. */
const TALKER = `
  import { createInterface } from "node:readline";
  import { createLogger } from ${JSON.stringify(LOG.href)};
  const log = await createLogger({ level: "info", format: "json" });
  for await (const text of createInterface({ input: process.stdin })) {
    log.info(text);
    process.stderr.write("said\\n");
  }
`;

let folder: string;
let fifo: string;
/** Both ends, so that opening it waits for nobody. */
let ends: number;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stsmapd-log-"));
  fifo = join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  ends = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  closeSync(ends);
  rmSync(folder, { recursive: true });
});

function run(args: readonly string[], stdout: number | "pipe", env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, args, { env, stdio: ["pipe", stdout, "pipe"] });
  children.push(child);
  return child;
}

/** As {@link run}, with standard output at `path`, blocking as a shell would leave it. */
function runInto(path: string, args: readonly string[], env?: NodeJS.ProcessEnv): ChildProcess {
  const stdout = openSync(path, constants.O_RDWR);
  try {
    return run(args, stdout, env);
  } finally {
    closeSync(stdout);
  }
}

const talker = (stdout: string) => runInto(stdout, ["--input-type=module", "-e", TALKER]);

/** Returns when the call that logs has returned. */
async function say(child: ChildProcess, text: string): Promise<void> {
  const said = once(child.stderr!, "data");
  child.stdin!.write(`${text}\n`);
  expect(String((await said)[0])).toBe("said\n");
}

/** Until the FIFO takes no more. */
function fill(): void {
  expect(() => {
    for (;;) writeSync(ends, "x\n".repeat(2_000));
  }).toThrow("EAGAIN");
  expect(() => {
    for (;;) writeSync(ends, "x\n");
  }).toThrow("EAGAIN");
}

/** What is in the FIFO, but for what {@link fill} put there. */
function drain(): string {
  const chunk = Buffer.alloc(65_536);
  let text = "";
  try {
    for (;;) text += chunk.toString("latin1", 0, readSync(ends, chunk));
  } catch {
    return text.replaceAll("x\n", "");
  }
}

describe("a reader that hangs", () => {
  it("holds up nobody, and gets the lines once it reads", async () => {
    const child = talker(fifo);
    fill();
    await say(child, "first");
    await say(child, "second");
    expect(drain()).toBe("");
    let text = "";
    await expect.poll(() => (text += drain())).toContain("second");
    expect(text.indexOf("first")).toBeLessThan(text.indexOf("second"));
    expect(text).not.toContain("lost");
  });

  it("costs the lines that do not fit into memory, and their number is logged", async () => {
    const child = talker(fifo);
    fill();
    for (let i = 0; i < 5; i++) await say(child, `${i}${"-".repeat(400_000)}`);
    let text = "";
    await expect.poll(() => (text += drain()), { timeout: 10_000 }).toContain('"lines":3');
    expect(text).toContain('"msg":"1---');
    expect(text).not.toContain('"msg":"2---');
    await say(child, "after");
    expect(drain()).toContain("after");
  });

  it("gets what waits when the process ends", async () => {
    const child = talker(fifo);
    fill();
    await say(child, "last words");
    child.stdin!.end();
    drain();
    await once(child, "exit");
    expect(drain()).toContain("last words");
  });

  it("does not keep the process from its end", async () => {
    const child = talker(fifo);
    fill();
    await say(child, "unheard");
    child.stdin!.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  });
});

it("a full disk costs lines, and throws nothing", async () => {
  const child = talker("/dev/full");
  await say(child, "first");
  await say(child, "second");
  child.stdin!.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});

describe("the daemon", () => {
  let home: Home;
  let world: World;

  beforeEach(async () => {
    home = new Home();
    world = await startWorld();
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    home[Symbol.dispose]();
  });

  it.each([
    ["nobody reads from", (args: string[]) => runInto(fifo, args, home.environment())],
    ["a full disk is behind", (args: string[]) => runInto("/dev/full", args, home.environment())],
    [
      "nobody has open any more",
      (args: string[]) => {
        const child = run(args, "pipe", home.environment());
        child.stdout!.destroy();
        return child;
      },
    ],
  ])("answers, and ends on SIGTERM, with a standard output that %s", async (_, serve) => {
    fill();
    const socket = join(home.path, "socket");
    const listen = `listen: [{ protocol: socketmap, address: "unix:${socket}" }]\n`;
    const file = home.write("stsmapd.yaml", home.network(world) + listen);
    const child = serve([MAIN.pathname, "serve", "-c", file]);
    const ended = once(child, "exit");
    using client = await vi.waitFor(() => SocketmapClient.connect(`unix:${socket}`), { timeout: 15_000 });
    for (const domain of ["a.example", "b.example"])
      expect(await client.query("postfix", domain)).toEqual({ status: "NOTFOUND", text: "" });
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  });
});
