/** kill -9 right after an answer by a policy: all that the answer rested on is on disk. */
import { expect, it } from "vitest";
import { SocketmapClient } from "./helpers/postfix-client.ts";
import { Daemon, Home } from "./helpers/stsmapd.ts";
import { secure, startWorld } from "./helpers/world.ts";

const D = "d.example";

it.each([
  [true, "DANE was looked for, and there was none"],
  [false, "DANE was not looked for"],
])("a policy holds after it and without DNS, where the resolver validates: %s (%s)", async (validates) => {
  using home = new Home();
  await using world = await startWorld();
  world.publish(D);
  world.dns.zone.mx(D, `mx.${D}`);
  world.dns.zone.a(`mx.${D}`, "192.0.2.1");
  world.dns.zone.soa(".");
  if (validates) world.dns.zone.secure(".");
  const listen = `listen: [{ protocol: socketmap, address: "127.0.0.1:0" }]\n`;
  const start = () =>
    Daemon.start(["-c", home.write("c.yaml", home.network(world) + listen)], home.environment());
  const policy = { status: "OK", text: secure(D) };
  {
    await using daemon = await start();
    using client = await SocketmapClient.connect(daemon.addresses[0]!);
    const reply = await client.query("postfix", D);
    daemon.signal("SIGKILL");
    expect(reply).toMatchObject(policy);
  }
  world.dns.behave("*", "drop");
  await using daemon = await start();
  using client = await SocketmapClient.connect(daemon.addresses[0]!);
  expect(await client.query("postfix", D)).toMatchObject(policy);
});
