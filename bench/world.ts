/** The Internet of the bench: name server and policy hosts, at once or behind a link on which packets take their time. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mustRun } from "../test/e2e/process.ts";
import { pinned } from "./machine.ts";
import { native } from "./native.ts";
import { freePort } from "./free-port.ts";
import type { WorldCounts, WorldOptions } from "./world-server.ts";

const FAR_DNS = "10.99.0.2";

/** It runs until the end of an `await using` block. */
export class World implements AsyncDisposable {
  /** As stsmapd's configuration wants it. */
  readonly dns: string;
  readonly httpsPort: number;
  /** The root certificate, PEM. */
  readonly ca: string;
  readonly #children: readonly ChildProcess[];

  private constructor(dns: string, httpsPort: number, ca: string, children: readonly ChildProcess[]) {
    this.dns = dns;
    this.httpsPort = httpsPort;
    this.ca = ca;
    this.#children = children;
  }

  /** On this machine's loopback. The ports of DNS and HTTPS can only be had by root. */
  static async near(ports: { dns: number; https: number }): Promise<World> {
    const child = await start([]);
    const options = {
      dnsAddress: "127.0.0.1",
      dnsPort: ports.dns,
      httpsPort: ports.https,
      network: "127.100",
    };
    return new World(`127.0.0.1:${ports.dns}`, ports.https, await begin(child, options), [child]);
  }

  /** In a network of its own; a packet and its answer take `roundTrip` milliseconds together. Needs root. */
  static async far(roundTrip: number): Promise<World> {
    const child = await start(["unshare", "--net"]);
    const link = await linkTo(String(child.pid), roundTrip * 500);
    const options = { dnsAddress: FAR_DNS, dnsPort: 53, httpsPort: 443, network: "10.99" };
    const ca = await begin(child, options);
    return new World(`${FAR_DNS}:53`, 443, ca, [child, link]);
  }

  /** What was asked since this was called last. */
  async counts(): Promise<WorldCounts> {
    const [server] = this.#children;
    if (server === undefined) throw new TypeError("a world without a server");
    const answered = once(server, "message");
    server.send("counts");
    const [counts]: WorldCounts[] = await answered;
    if (counts === undefined) throw new TypeError("no counts");
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
  }
}

/** Makes the link to the network of process `pid`; a packet takes `delay` microseconds on it. */
async function linkTo(pid: string, delay: number): Promise<ChildProcess> {
  const [command = "", ...args] = pinned("load", [native("delay"), String(delay), pid]);
  const link = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(link.stdout, "data");
  const there = `nsenter --net --target ${pid}`;
  const steps = [
    "ip address add 10.98.0.1/32 dev bench0",
    "ip link set bench0 txqueuelen 10000 up",
    "ip route add 10.99.0.0/16 dev bench0",
    `${there} ip link set lo up`,
    `${there} ip link set bench1 txqueuelen 10000 up`,
    `${there} ip route add 10.98.0.0/16 dev bench1`,
    `${there} ip route add local 10.99.0.0/16 dev lo`,
  ];
  for (const step of steps) {
    const [program = "", ...rest] = step.split(" ");
    await mustRun(program, rest);
  }
  return link;
}

/** Starts the server process through `wrapper`, with a channel to it; resolves when it runs. */
async function start(wrapper: readonly string[]): Promise<ChildProcess> {
  const script = new URL("world-server.ts", import.meta.url).pathname;
  const [command = "", ...args] = pinned("load", [...wrapper, process.execPath, script]);
  const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  await once(child, "message");
  return child;
}

/** Resolves with its root certificate once it listens. */
async function begin(child: ChildProcess, options: WorldOptions): Promise<string> {
  child.send(options);
  const [ca]: unknown[] = await once(child, "message");
  return String(ca);
}

/** {@link World.near} with the ports of DNS and HTTPS where we may have them, as postfix-mta-sts-resolver needs them. */
export async function nearWorld({ isRoot }: { readonly isRoot: boolean }): Promise<World> {
  if (isRoot) return World.near({ dns: 53, https: 443 });
  return World.near({ dns: await freePort(), https: await freePort() });
}
