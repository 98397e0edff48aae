/** The daemon as systemd starts it: with sockets that outlive it, and somebody who wants to know how it is. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { AdminClient } from "../src/cli/admin-client.ts";
import { DatagramReceiver } from "./helpers/datagram-receiver.ts";
import { HeldSocket } from "./helpers/held-socket.ts";
import { askUntil, PostfixProcess } from "./helpers/postfix-process.ts";
import { Daemon, Home, stsmapd } from "./helpers/stsmapd.ts";
import { secure, startWorld } from "./helpers/world.ts";

const D = "d.example";
const UNUSED = "systemd handed down a socket that no listener uses (address: systemd:name)";
const STOPPING = "stsmapd is stopping, try again";
const RESTARTS = 3;

async function ask(protocol: "socketmap" | "tcp_table", { address }: HeldSocket): Promise<string> {
  using client = new PostfixProcess(protocol, address);
  const { status, text } = await client.ask("localhost");
  return status === "FAILED" ? text : status;
}

it("serves the sockets it was handed without any configuration, and leaves them behind", async () => {
  using home = new Home();
  const path = join(home.path, "socket");
  using inet = new HeldSocket("socketmap");
  using unix = new HeldSocket("socketmap", path);
  using table = new HeldSocket("tcp_table");
  using stranger = new HeldSocket("stranger");
  await using daemon = await Daemon.start([], home.environment(), { sockets: [inet, unix, table, stranger] });

  expect(daemon.addresses).toEqual([inet.address, unix.address, table.address]);
  expect([await ask("socketmap", inet), await ask("socketmap", unix), await ask("tcp_table", table)]).toEqual(
    ["NOTFOUND", "NOTFOUND", "NOTFOUND"],
  );
  const { admin } = await daemon.logged("ready");
  const health = await new AdminClient(String(admin)).health(AbortSignal.timeout(60_000));
  expect(health).toMatchObject({
    listen: [
      { protocol: "socketmap", address: inet.address, configured: "systemd:socketmap" },
      { protocol: "socketmap", address: unix.address, configured: "systemd:socketmap" },
      { protocol: "tcp_table", address: table.address, configured: "systemd:tcp_table" },
    ],
  });
  const warnings = daemon.log.filter(({ msg }) => msg === UNUSED);
  expect(warnings).toMatchObject([{ level: "warn", name: "stranger", fd: 6 }]);

  daemon.signal("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(existsSync(path)).toBe(true);
});

it("serves what the configuration names, and does not start without it", async () => {
  using home = new Home();
  const listen = `listen:\n  - { protocol: tcp_table, address: systemd:mine, map: postfix310 }\n`;
  const file = home.write("stsmapd.yaml", listen);
  using first = new HeldSocket("mine");
  using second = new HeldSocket("mine");
  await using _daemon = await Daemon.start(["-c", file], home.environment(), { sockets: [first, second] });
  expect([await ask("tcp_table", first), await ask("tcp_table", second)]).toEqual(["NOTFOUND", "NOTFOUND"]);

  const alone = await stsmapd(["serve", "-c", file], home.environment());
  expect(alone).toMatchObject({ status: 78, stdout: "" });
  expect(alone.stderr).toContain(
    `${file}:2:37: listen[0].address: systemd has handed down no socket of this name`,
  );

  const query = await stsmapd(["query", "-c", file, D], home.environment());
  expect(query).toMatchObject({ status: 78, stderr: expect.stringContaining("name one by --server") });
});

it("refuses a descriptor that is no listening socket, by its name", async () => {
  using home = new Home();
  using receiver = new DatagramReceiver();
  const datagrams = { fd: receiver.fd, name: "socketmap", address: "", [Symbol.dispose]() {} };
  await using daemon = await Daemon.spawn([], home.environment(), { sockets: [datagrams] });
  expect(await daemon.exited).toEqual({ code: 69, signal: null });
});

it("tells systemd when it can answer, is reading its configuration again, lives, and stops", async () => {
  using home = new Home();
  using systemd = new DatagramReceiver();
  using inet = new HeldSocket("socketmap");
  const env = { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: "60000" };
  await using daemon = await Daemon.start([], home.environment(env), { sockets: [inet] });
  const next = async () => (await systemd.next()).replace(/MONOTONIC_USEC=\d+/, "MONOTONIC_USEC=…");

  expect(await next()).toBe(`READY=1\nSTATUS=answering on ${inet.address}`);
  expect(await next()).toBe("WATCHDOG=1");
  expect(await next()).toBe("WATCHDOG=1");
  daemon.signal("SIGHUP");
  await daemon.logged("configuration read again");
  daemon.signal("SIGTERM");
  await daemon.exited;
  const rest: string[] = [];
  while (rest.at(-1)?.startsWith("STOPPING=1") !== true) rest.push(await next());
  expect(rest.filter((message) => message !== "WATCHDOG=1")).toEqual([
    "RELOADING=1\nMONOTONIC_USEC=…\nSTATUS=reading the configuration again",
    `READY=1\nSTATUS=answering on ${inet.address}`,
    "STOPPING=1\nSTATUS=answering what was asked",
  ]);
});

it("is not ready before it can answer", async () => {
  using home = new Home();
  using systemd = new DatagramReceiver();
  const file = home.write("stsmapd.yaml", `store: { path: /dev/null/cache.sqlite }\n`);
  await using daemon = await Daemon.spawn(["-c", file], home.environment({ NOTIFY_SOCKET: systemd.path }));
  expect((await daemon.exited).code).toBe(73);
  expect(systemd.received).toEqual([]);
});

it(`loses no lookup over ${RESTARTS} restarts under load, and answers what was under way truly or TEMP`, async () => {
  using home = new Home();
  await using world = await startWorld();
  world.publish(D);
  // Each of these has to be looked up, and is on its way when the daemon is stopped.
  const slow = Array.from({ length: RESTARTS }, (_, n) => `slow${n}.example`);
  for (const domain of slow) {
    world.publish(domain);
    world.dns.behave(`_mta-sts.${domain}`, { delayMs: 300 });
  }
  const file = home.write("stsmapd.yaml", `${home.network(world)}dane: { enabled: false }\n`);
  using inet = new HeldSocket("socketmap");
  using unix = new HeldSocket("socketmap", join(home.path, "socket"));
  using table = new HeldSocket("tcp_table");
  const start = () => Daemon.start(["-c", file], home.environment(), { sockets: [inet, unix, table] });

  const processes = [
    ...[inet, unix, inet, unix].map(({ address }) => new PostfixProcess("socketmap", address)),
    new PostfixProcess("tcp_table", table.address),
  ];
  let daemon = await start();
  const done = new AbortController();
  const asking = askUntil(done.signal, processes, [D, "localhost"]);
  const late: Promise<{ domain: string; text: string }>[] = [];
  for (const domain of slow) {
    const asked = world.dns.nextQuery(`_mta-sts.${domain}`);
    using client = new PostfixProcess("socketmap", inet.address);
    late.push(client.ask(domain).then(({ text }) => ({ domain, text })));
    await asked;
    daemon.signal("SIGTERM");
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    await late.at(-1);
    daemon = await start();
  }
  done.abort();
  const answers = await asking;
  daemon.signal("SIGTERM");
  await daemon.exited;
  for (const process of processes) process[Symbol.dispose]();

  const isWrong = ({ key, answer: { status, text } }: (typeof answers)[number]) =>
    key === D ? text !== secure(D) : status !== "NOTFOUND";
  expect(answers.filter(isWrong)).toEqual([]);
  expect(processes.every(({ retries }) => retries > 0)).toBe(true);
  for (const { domain, text } of await Promise.all(late)) expect([secure(domain), STOPPING]).toContain(text);
}, 60_000);
