/** The daemon as a process, with and without a collector of TLSRPT reports. */
import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { DatagramReceiver } from "./helpers/datagram-receiver.ts";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { Daemon, Home } from "./helpers/stsmapd.ts";
import { startWorld, type World } from "./helpers/world.ts";

const D = "d.example";
const RUA = "v=TLSRPTv1; rua=mailto:reports@d.example";

function start(home: Home, world: World, collector?: string): Promise<Daemon> {
  const text = [
    home.network(world),
    `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]`,
    "log: { level: debug }",
    ...(collector === undefined ? [] : [`tlsrpt: { collector: ${collector} }`]),
  ];
  return Daemon.start(["-c", home.write("stsmapd.yaml", text.join("\n"))], home.environment());
}

async function ask(daemon: Daemon, domain: string): Promise<string> {
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  return (await client.query("postfix", domain)).status;
}

it("reports a fetch that failed, answers meanwhile, and stops cleanly", async () => {
  using home = new Home();
  using receiver = new DatagramReceiver();
  await using world = await startWorld();
  world.publishRecord(D, "1");
  world.dns.zone.txt(`_smtp._tls.${D}`, RUA);
  world.publishRecord("hangs.example", "1");
  world.dns.behave("_smtp._tls.hangs.example", "drop");
  await using daemon = await start(home, world, receiver.path);
  expect(await ask(daemon, D)).toBe("NOTFOUND");
  expect(JSON.parse(await receiver.next())).toMatchObject({ d: D, pr: RUA, policies: [{ t: 1, f: 1 }] });
  expect(await daemon.logged("TLSRPT")).toMatchObject({ level: "debug", domain: D, result: "sent" });
  expect(await ask(daemon, "hangs.example")).toBe("NOTFOUND");
  daemon.signal("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
  expect(daemon.log.filter(({ level }) => level === "error")).toEqual([]);
});

it("says once that the collector is not there", async () => {
  using home = new Home();
  await using world = await startWorld();
  const path = `${home.path}/collector.sock`;
  for (const domain of [D, "e.example"]) {
    world.publishRecord(domain, "1");
    world.dns.zone.txt(`_smtp._tls.${domain}`, RUA);
  }
  await using daemon = await start(home, world, path);
  for (const domain of [D, "e.example"]) expect(await ask(daemon, domain)).toBe("NOTFOUND");
  await expect.poll(() => daemon.log.filter(({ msg }) => msg === "TLSRPT")).toHaveLength(2);
  const warnings = daemon.log.filter(({ msg }) => String(msg).startsWith("TLSRPT reports are lost"));
  expect(warnings).toMatchObject([
    {
      level: "warn",
      path,
      reason: `${path}: ENOENT`,
      msg: "TLSRPT reports are lost: collector absent",
    },
  ]);
  expect(existsSync(path)).toBe(false);
});

it("asks for no TLSRPT record where no collector is configured", async () => {
  using home = new Home();
  await using world = await startWorld();
  world.publishRecord(D, "1");
  world.dns.zone.txt(`_smtp._tls.${D}`, RUA);
  await using daemon = await start(home, world);
  expect(await ask(daemon, D)).toBe("NOTFOUND");
  daemon.signal("SIGTERM");
  await daemon.exited;
  expect(world.dns.queries(`_smtp._tls.${D}`)).toBe(0);
});
