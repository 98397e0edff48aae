import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Daemon, Home, stsmapd } from "../helpers/stsmapd.ts";

const health = (home: Home, file: string) => stsmapd(["health", "-c", file], home.environment());

it.each([
  ["protocol: socketmap", "NOTFOUND"],
  ["protocol: tcp_table, map: postfix", "500"],
])("{ %s }: a daemon that answers %s is healthy", async (protocol) => {
  using home = new Home();
  const listener = `{ ${protocol}, address: "unix:${join(home.path, "socket")}" }`;
  const file = home.write("stsmapd.yaml", `listen: [${listener}]\ndns: { servers: ["127.0.0.1:1"] }\n`);
  await using daemon = await Daemon.start(["-c", file], home.environment());
  expect(daemon.addresses).toHaveLength(1);
  expect(await health(home, file)).toEqual({ status: 0, stdout: "", stderr: "" });
});

it("nobody listens: 69, with the address", async () => {
  using home = new Home();
  const socket = join(home.path, "socket");
  const file = home.write("c.yaml", `listen: [{ protocol: socketmap, address: "unix:${socket}" }]\n`);
  const { status, stdout, stderr } = await health(home, file);
  expect({ status, stdout }).toEqual({ status: 69, stdout: "" });
  expect(stderr).toContain(`stsmapd: unix:${socket} (socketmap): `);
});

it("an answer of another kind is none: 69", async () => {
  using home = new Home();
  const socket = join(home.path, "socket");
  const server = createServer((client) => client.end("13:TEMP stopping,")).listen(socket);
  await once(server, "listening");
  const file = home.write("c.yaml", `listen: [{ protocol: socketmap, address: "unix:${socket}" }]\n`);
  const { status, stderr } = await health(home, file);
  server.close();
  expect(status).toBe(69);
  expect(stderr).toContain('"TEMP stopping" is not the answer of a daemon at work');
});
