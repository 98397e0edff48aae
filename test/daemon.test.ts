/** The daemon as a process: start, answer, stop, and die. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeNetstring } from "../src/server/netstring.ts";
import { RawClient, SocketmapClient, TcpTableClient } from "./helpers/postfix-client.ts";
import { checkSocketmapReply } from "./helpers/postfix-grammar.ts";
import { Daemon, Home, stsmapd } from "./helpers/stsmapd.ts";
import { secure, startWorld, type World } from "./helpers/world.ts";

const D = "d.example";
const SOCKETMAP = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n`;

function start(home: Home, world: World, text = SOCKETMAP): Promise<Daemon> {
  const file = home.write("stsmapd.yaml", home.network(world) + text);
  return Daemon.start(["-c", file], home.environment());
}

async function ask(address: string, domain: string): Promise<string> {
  using client = await SocketmapClient.connect(address);
  const { status, text } = await client.query("postfix", domain);
  checkSocketmapReply(Buffer.from(`${status} ${text}`, "latin1"), "3.7");
  return `${status} ${text}`;
}

it("runs with no configuration: loopback, and a cache in the home folder", async () => {
  using home = new Home();
  const listen = '[{protocol: socketmap, address: "127.0.0.1:0"}]';
  await using daemon = await Daemon.start([], home.environment({ STSMAPD_LISTEN: listen }));
  expect(await ask(daemon.addresses[0]!, "[192.0.2.1]")).toBe("NOTFOUND ");
  expect(existsSync(join(home.path, ".local/state/stsmapd/cache.sqlite"))).toBe(true);
});

it("answers on every listener, and `query` asks each as Postfix would", async () => {
  using home = new Home();
  await using world = await startWorld();
  world.publish(D);
  const path = join(home.path, "socket");
  await using daemon = await start(
    home,
    world,
    `listen:
  - { protocol: socketmap, address: "127.0.0.1:0" }
  - { protocol: tcp_table, address: "127.0.0.1:0", map: postfix310 }
  - { protocol: socketmap, address: "unix:${path}" }
`,
  );
  const [inet = "", table = "", unix = ""] = daemon.addresses;
  expect(unix).toBe(`unix:${path}`);
  expect(await ask(inet, D)).toBe(`OK ${secure(D)}`);
  expect(await ask(unix, D)).toBe(`OK ${secure(D)}`);
  using client = await TcpTableClient.connect(table);
  expect(await client.query(D)).toMatchObject({
    code: 200,
    text: expect.stringContaining("policy_type=sts"),
  });

  const query = (...args: string[]) => stsmapd(["query", ...args], home.environment());
  expect(await query("-s", inet, D)).toEqual({ status: 0, stdout: `OK ${secure(D)}\n`, stderr: "" });
  expect(await query("-s", unix, "-m", "postfix310", D)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining("policy_type=sts"),
  });
  expect(await query("-s", table, "-p", "tcp_table", D)).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^200 secure .*policy_type=sts/),
  });
  expect(await query("-s", inet, "nothing.example")).toMatchObject({ status: 1, stdout: "NOTFOUND\n" });
  expect(await query("-s", table, "-p", "tcp_table", "nothing.example")).toMatchObject({ status: 1 });
  const byConfiguration = await query("-c", join(home.path, "stsmapd.yaml"), "-p", "tcp_table", D);
  expect(byConfiguration, "port 0 is nobody's").toMatchObject({ status: 69, stdout: "" });
  const wrongProtocol = await query("-s", inet, "-p", "tcp_table", D);
  expect(wrongProtocol.status).toBe(69);
  expect(wrongProtocol.stderr).toMatch(
    /^stsmapd: .* \(tcp_table\): the connection was closed without a reply\n$/,
  );
});

it("logs one line for a resolution and none for a hit in memory", async () => {
  using home = new Home();
  await using world = await startWorld();
  world.publish(D);
  await using daemon = await start(home, world);
  for (let i = 0; i < 3; i++) await ask(daemon.addresses[0]!, D);
  daemon.signal("SIGTERM");
  await daemon.exited;
  expect(daemon.log.filter(({ domain }) => domain === D)).toMatchObject([
    { level: "info", msg: "resolved", result: "fetched", id: "1", mode: "enforce", trigger: "query" },
  ]);
  expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
});

describe("SIGTERM", () => {
  it("ends it with status 0 though clients are connected", async () => {
    using home = new Home();
    await using world = await startWorld();
    await using daemon = await start(home, world);
    using client = await SocketmapClient.connect(daemon.addresses[0]!);
    await client.query("postfix", "nothing.example");
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    await client.raw.closed;
  });

  it("lets a lookup in flight have its answer", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 500 });
    await using daemon = await start(home, world);
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon.addresses[0]!, D);
    await asked;
    daemon.signal("SIGTERM");
    expect(await reply).toBe(`OK ${secure(D)}`);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });

  it("lets one have it also where a client that awaits answers dies meanwhile", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.dns.behave(`_mta-sts.${D}`, { delayMs: 1_000 });
    const others = ["a.example", "b.example", "c.example"];
    for (const domain of others) world.dns.behave(`_mta-sts.${domain}`, { delayMs: 500 });
    await using daemon = await start(home, world);
    const asked = [...others, D].map((domain) => world.dns.nextQuery(`_mta-sts.${domain}`));
    using lost = await RawClient.connect(daemon.addresses[0]!);
    lost.write(others.map((domain) => encodeNetstring(`postfix ${domain}`)).join(""));
    const reply = ask(daemon.addresses[0]!, D);
    await Promise.all(asked);
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    lost.socket.resetAndDestroy();
    expect(await reply).toBe(`OK ${secure(D)}`);
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });

  it("answers TEMP what does not end in time", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    world.host.respond(D, { body: () => {} });
    await using daemon = await start(home, world, `${SOCKETMAP}lookup: { stop_timeout: 1s }\n`);
    const asked = world.dns.nextQuery(`mta-sts.${D}`);
    const reply = ask(daemon.addresses[0]!, D);
    await asked;
    daemon.signal("SIGTERM");
    expect(await reply).toBe("TEMP stsmapd is stopping, try again");
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
  });

  it("ends it at once the second time", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.dns.behave("*", "drop");
    await using daemon = await start(home, world, `${SOCKETMAP}lookup: { stop_timeout: 10m }\n`);
    const asked = world.dns.nextQuery(`_mta-sts.${D}`);
    const reply = ask(daemon.addresses[0]!, D).catch((error: unknown) => error);
    await asked;
    daemon.signal("SIGTERM");
    await daemon.logged("stopping");
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toEqual({ code: 70, signal: null });
    await reply;
  });
});

describe("SIGKILL", () => {
  it("costs no policy where the working folder was gone when it started", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    const file = home.write("stsmapd.yaml", home.network(world) + SOCKETMAP);
    const before = `mkdir "${home.path}/gone" && cd "${home.path}/gone" && rmdir "${home.path}/gone" || exit`;
    const daemon = await Daemon.start(["-c", file], home.environment(), { before });
    expect(await ask(daemon.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
    expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
    daemon.signal("SIGKILL");
    await daemon.exited;

    world.withdrawRecord(D);
    world.host.cut(D);
    await using next = await start(home, world);
    expect(await ask(next.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
  });

  it("costs no policy that was told of", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using first = await start(home, world);
    expect(await ask(first.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
    first.signal("SIGKILL");
    await first.exited;
    world.withdrawRecord(D);
    world.host.cut(D);
    await using second = await start(home, world);
    expect(await ask(second.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
  });

  it("costs no policy although all DNS is dead from then on", async () => {
    using home = new Home();
    await using world = await startWorld();
    world.publish(D);
    await using first = await start(home, world);
    expect(await ask(first.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
    // The DANE state is written after the reply.
    first.signal("SIGTERM");
    await first.exited;
    world.dns.behave("*", "servfail");
    await using second = await start(home, world);
    expect(await ask(second.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
    second.signal("SIGKILL");
    await second.exited;
    await using third = await start(home, world);
    expect(await ask(third.addresses[0]!, D)).toBe(`OK ${secure(D)}`);
  });

  it("leaves a unix socket that the next start replaces, and that it keeps while it lives", async () => {
    using home = new Home();
    await using world = await startWorld();
    const path = join(home.path, "socket");
    const listen = `listen: [{ protocol: socketmap, address: "unix:${path}" }]\n`;
    await using first = await start(home, world, listen);
    first.signal("SIGKILL");
    await first.exited;
    expect(existsSync(path)).toBe(true);
    await using second = await start(home, world, listen);
    expect(await ask(`unix:${path}`, "nothing.example")).toBe("NOTFOUND ");
    const third = await stsmapd(["serve", "-c", join(home.path, "stsmapd.yaml")], home.environment());
    expect(third.status).toBe(69);
    expect(await ask(`unix:${path}`, "nothing.example")).toBe("NOTFOUND ");
    second.signal("SIGTERM");
    expect(await second.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(path)).toBe(false);
  });
});
