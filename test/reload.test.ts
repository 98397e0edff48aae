/** Overrides and SIGHUP, in a real process. */
import { execFileSync } from "node:child_process";
import { renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { checkSocketmapReply } from "./helpers/postfix-grammar.ts";
import { Daemon, Home, type LogLine } from "./helpers/stsmapd.ts";
import { secure, startWorld, type World } from "./helpers/world.ts";

const D = "d.example";
const LISTEN = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n`;
const RUN_OUT = "override has run out and is no longer applied";
const READ_AGAIN = "configuration read again";

class Running implements AsyncDisposable {
  readonly #home: Home;
  readonly #network: string;
  readonly #daemon: Daemon;
  readonly #client: SocketmapClient;

  private constructor(home: Home, network: string, daemon: Daemon, client: SocketmapClient) {
    this.#home = home;
    this.#network = network;
    this.#daemon = daemon;
    this.#client = client;
  }

  static async start(world: World, text: string): Promise<Running> {
    const home = new Home();
    const network = `${home.network(world)}dane: { enabled: false }\n`;
    const file = home.write("stsmapd.yaml", network + LISTEN + text);
    const daemon = await Daemon.start(["-c", file], home.environment());
    const client = await SocketmapClient.connect(daemon.addresses[0]!);
    return new Running(home, network, daemon, client);
  }

  get log(): readonly LogLine[] {
    return this.#daemon.log;
  }

  /** The first line with this message, once it is there. */
  logged(message: string): Promise<LogLine> {
    return this.#daemon.logged(message);
  }

  /** On one connection for as long as the daemon runs. */
  async ask(domain: string, map = "postfix"): Promise<string> {
    const { status, text } = await this.#client.query(map, domain);
    checkSocketmapReply(Buffer.from(`${status} ${text}`, "latin1"), map === "postfix310" ? "3.11" : "3.7");
    return `${status} ${text}`;
  }

  /** Writes the configuration anew and has it read. */
  rewrite(text: string, listen = LISTEN): void {
    this.#home.write("stsmapd.yaml", this.#network + listen + text);
    this.#daemon.signal("SIGHUP");
  }

  /** As {@link rewrite}, and waits for what the daemon says of it. */
  async reload(text: string, listen = LISTEN): Promise<LogLine> {
    const lines = this.log.length;
    this.rewrite(text, listen);
    const said = () => answerOf(this.log.slice(lines)) ?? Promise.reject(new Error("nothing was said"));
    return vi.waitFor(said, { timeout: 10_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    await this.#daemon[Symbol.asyncDispose]();
    this.#home[Symbol.dispose]();
  }
}

describe("an override", () => {
  it.each([
    ["off", "action: off", "NOTFOUND "],
    ["testing", "action: testing", "NOTFOUND "],
    [
      "enforce",
      `action: enforce, mx: [mx.other.example, "*.other.example"]`,
      "OK secure match=mx.other.example:.other.example servername=hostname",
    ],
    ["reply", "action: reply, reply: encrypt protocols=>=TLSv1.2", "OK encrypt protocols=>=TLSv1.2"],
    [
      "defer",
      "action: defer, comment: ticket 4711",
      "TEMP deferred by the override for d.example: ticket 4711",
    ],
  ])("with action %s goes before the policy", async (_, action, reply) => {
    await using world = await startWorld();
    world.publish(D);
    world.publish("other.example");
    await using running = await Running.start(world, `overrides: [{ domain: ${D}, ${action} }]\n`);
    expect(await running.ask(D)).toBe(reply);
    await running.ask(D);
    expect(running.log.filter(({ msg }) => msg === "answered by an override")).toMatchObject([
      { level: "info", domain: D, override: D, action: action.match(/action: (\w+)/)?.[1] },
    ]);
    expect(await running.ask("other.example"), "nobody else").toBe(`OK ${secure("other.example")}`);
  });

  it("with action testing has the policy followed, so that it is there when the override ends", async () => {
    await using world = await startWorld();
    world.publish(D);
    await using running = await Running.start(world, `overrides: [{ domain: ${D}, action: testing }]\n`);
    expect(await running.ask(D)).toBe("NOTFOUND ");
    expect(await running.logged("resolved")).toMatchObject({ domain: D });
    world.dns.behave("*", "servfail");
    await running.reload("");
    expect(await running.ask(D)).toBe(`OK ${secure(D)}`);
  });

  it("with action enforce is the administrator's own word, which no rollout holds back", async () => {
    await using world = await startWorld();
    const override = `overrides: [{ domain: ${D}, action: enforce, mx: [mx.other.example] }]\n`;
    await using running = await Running.start(world, `${override}maps: { postfix: { rollout: observe } }\n`);
    expect(await running.ask(D)).toMatch(/^OK secure /);
  });

  it("for .domain is for it and all below, the exact name first, whatever the map", async () => {
    await using world = await startWorld();
    await using running = await Running.start(
      world,
      `overrides:
  - { domain: .d.example, action: defer }
  - { domain: sub.d.example, action: enforce, mx: [mx.d.example] }
`,
    );
    const deferred = "TEMP deferred by the override for .d.example";
    expect(await running.ask("d.example")).toBe(deferred);
    expect(await running.ask("[mail.d.example]:25")).toBe(deferred);
    expect(await running.ask("sub.d.example")).toMatch(/^OK secure match=mx\.d\.example /);
    expect(await running.ask("sub.d.example", "postfix310")).toContain("policy_type=sts");
  });

  it("that has run out is said so once, and does nothing", async () => {
    await using world = await startWorld();
    world.publish(D);
    await using running = await Running.start(
      world,
      `overrides: [{ domain: ${D}, action: off, until: 2020-12-31, comment: ticket 4711 }]\n`,
    );
    for (let i = 0; i < 3; i++) expect(await running.ask(D)).toBe(`OK ${secure(D)}`);
    expect(running.log.filter(({ msg }) => msg === RUN_OUT)).toMatchObject([
      { level: "warn", domain: D, until: "2021-01-01T00:00:00.000Z", comment: "ticket 4711" },
    ]);
  });
});

describe("SIGHUP", () => {
  it("during the start is obeyed once the daemon runs", async () => {
    await using world = await startWorld();
    using home = new Home();
    const text = `${home.network(world)}dane: { enabled: false }\n${LISTEN}`;
    const file = join(home.path, "stsmapd.yaml");
    execFileSync("mkfifo", [file]);
    await using daemon = await Daemon.spawn(["-c", file], home.environment());
    // Opens when the daemon has begun to read; from then on it waits for the text.
    const fifo = await open(file, "w");
    renameSync(home.write("next.yaml", `${text}overrides: [{ domain: ${D}, action: defer }]\n`), file);
    daemon.signal("SIGHUP");
    await fifo.writeFile(text);
    await fifo.close();
    expect(await daemon.logged(READ_AGAIN)).toMatchObject({ need_restart: [] });
    using client = await SocketmapClient.connect(daemon.addresses[0]!);
    expect(await client.query("postfix", D)).toMatchObject({ status: "TEMP" });
  });

  it("brings overrides into force and takes them back, on a connection that stays", async () => {
    await using world = await startWorld();
    world.publish(D);
    await using running = await Running.start(world, "");
    expect(await running.ask(D)).toBe(`OK ${secure(D)}`);
    expect(await running.reload(`overrides: [{ domain: ${D}, action: off }]\n`)).toMatchObject({
      level: "info",
      msg: READ_AGAIN,
      need_restart: [],
    });
    expect(await running.ask(D)).toBe("NOTFOUND ");
    await running.reload("");
    expect(await running.ask(D)).toBe(`OK ${secure(D)}`);
  });

  it("does not disturb a question under way", async () => {
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 500 });
    await using running = await Running.start(world, "");
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = running.ask(D);
    await asked;
    await running.reload("overrides: [{ domain: other.example, action: off }]\n");
    expect(await reply).toBe(`OK ${secure(D)}`);
  });

  it("changes maps and the log level", async () => {
    await using world = await startWorld();
    world.publish(D, { mode: "testing" });
    await using running = await Running.start(world, "");
    expect(await running.ask(D)).toBe("NOTFOUND ");
    running.rewrite("maps: { postfix: { testing: enforce } }\nlog: { level: warn }\n");
    await expect.poll(() => running.ask(D), { timeout: 10_000 }).toBe(`OK ${secure(D)}`);
    await running.ask("nothing.example");
    expect(running.log.some(({ domain }) => domain === "nothing.example")).toBe(false);
  });

  it("with a wrong file changes nothing and says where it is wrong", async () => {
    await using world = await startWorld();
    const before = `overrides: [{ domain: ${D}, action: defer }]\n`;
    await using running = await Running.start(world, before);
    const said = await running.reload(`overrides: [{ domain: ${D}, action: maybe }]\n`);
    expect(said).toMatchObject({ level: "error", msg: "configuration is wrong; the one in force stays" });
    expect(JSON.stringify(said)).toContain("action");
    expect(await running.ask(D)).toMatch(/^TEMP deferred/);
    expect(await running.reload("")).toMatchObject({ msg: READ_AGAIN });
    expect(await running.ask(D)).toBe("NOTFOUND ");
  });

  it("names what needs a restart, each time until there was one", async () => {
    await using world = await startWorld();
    await using running = await Running.start(world, "");
    const text = "lookup: { deadline: 5s }\nlog: { format: json }\n";
    const listen = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }, { protocol: tcp_table, address: "127.0.0.1:0" }]\n`;
    for (let i = 0; i < 2; i++) {
      expect(await running.reload(text, listen)).toMatchObject({
        need_restart: ["listen", "lookup", "log.format"],
      });
    }
    expect(await running.reload("")).toMatchObject({ need_restart: [] });
  });
});

function answerOf(lines: readonly LogLine[]): LogLine | undefined {
  return lines.find(({ msg }) => String(msg).startsWith("configuration "));
}

describe("a rollout", () => {
  it("goes on and back at SIGHUP, and the log names the domain that is held back", async () => {
    await using world = await startWorld();
    world.publish("gmail.com");
    await using running = await Running.start(world, "maps: { postfix: { rollout: 34% } }\n");
    const heldBack = () => running.log.filter(({ result }) => result === "would_enforce");
    expect(await running.ask("gmail.com")).toBe("NOTFOUND ");
    expect(await running.ask("gmail.com")).toBe("NOTFOUND ");
    expect(heldBack()).toMatchObject([
      { level: "info", domain: "gmail.com", map: "postfix", msg: "held back by the rollout" },
    ]);
    await running.reload("maps: { postfix: { rollout: 35% } }\n");
    expect(await running.ask("gmail.com")).toBe(`OK ${secure("gmail.com")}`);
    await running.reload("maps: { postfix: { rollout: observe } }\n");
    expect(await running.ask("gmail.com")).toBe("NOTFOUND ");
    await running.reload("");
    expect(await running.ask("gmail.com")).toBe(`OK ${secure("gmail.com")}`);
    expect(heldBack()).toHaveLength(1);
  });
});

it("names domains in the log, or does not, from SIGHUP on", async () => {
  await using world = await startWorld();
  await using running = await Running.start(world, "log: { domains: false }\n");
  await running.ask("a.example");
  const { need_restart } = await running.reload("");
  expect(need_restart).toEqual([]);
  await running.ask("b.example");
  const resolved = running.log.filter(({ msg }) => msg === "resolved");
  expect(resolved.map(({ domain }) => domain)).toEqual([undefined, "b.example"]);
});
