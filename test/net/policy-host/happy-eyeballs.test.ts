import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { connectFirst, connectionOrder } from "../../../src/net/policy-host/happy-eyeballs.ts";

const MODULE = "../../../src/net/policy-host/happy-eyeballs.ts";

describe("the order of addresses", () => {
  it.each<[readonly string[], readonly string[]]>([
    [[], []],
    [
      ["192.0.2.1", "2001:db8::1"],
      ["2001:db8::1", "192.0.2.1"],
    ],
    [
      ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
      ["2001:db8::1", "192.0.2.1", "192.0.2.2"],
    ],
    [
      ["2001:db8::1", "2001:db8::2", "192.0.2.1"],
      ["2001:db8::1", "192.0.2.1", "2001:db8::2"],
    ],
    [["192.0.2.1", "192.0.2.1"], ["192.0.2.1"]],
  ])("of %j is %j", (addresses, order) => {
    expect(connectionOrder(addresses)).toEqual(order);
  });

  it("has eight places, shared by the families", () => {
    const six = Array.from({ length: 50 }, (_, index) => `2001:db8::${index + 1}`);
    const four = Array.from({ length: 50 }, (_, index) => `192.0.2.${index + 1}`);
    const order = connectionOrder([...four, ...six]);
    expect(order).toHaveLength(8);
    expect(order.filter((address) => address.includes(":"))).toHaveLength(4);
  });
});

describe("connecting", () => {
  it("goes on beside an address that does not answer, and drops it once another has", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- A TCP server has no other kind of address.
    const { port } = server.address() as AddressInfo;
    await using deaf = await startDeafServer("127.0.0.2", port);
    const socket = await connectFirst(["127.0.0.2", "127.0.0.1"], deaf.port, new AbortController().signal);
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
    server.close();
    await once(server, "close");
  });

  it("is ended by the signal", async () => {
    await using deaf = await startDeafServer("127.0.0.2", 0);
    const controller = new AbortController();
    const connecting = connectFirst(["127.0.0.2"], deaf.port, controller.signal);
    controller.abort(new Error("enough"));
    await expect(connecting).rejects.toThrow("enough");
    await expect(connectFirst(["127.0.0.2"], deaf.port, controller.signal)).rejects.toThrow("enough");
  });
});

it("connecting without a free descriptor is local-error: no fault of the host's", async () => {
  const program = `
    import { openSync } from "node:fs";
    import { connectFirst } from ${JSON.stringify(import.meta.resolve(MODULE))};
    // The first connection loads what Node loads lazily.
    const attempt = () =>
      connectFirst(["127.0.0.1", "127.0.0.2"], 1, new AbortController().signal).catch(({ reason }) => reason);
    const reasons = [await attempt()];
    try { for (;;) openSync("/dev/null"); } catch {}
    reasons.push(await attempt());
    console.log(reasons.join());`;
  const limited = ["-c", 'ulimit -n 60; exec "$0" "$@"', process.execPath];
  const { stdout } = await promisify(execFile)("sh", [...limited, "--input-type=module", "-e", program]);
  expect(stdout.trim()).toBe("connect-failed,local-error");
});

/** A listening socket whose backlog is full, so that the kernel leaves further connections without an answer. */
async function startDeafServer(address: string, wanted: number): Promise<AsyncDisposable & { port: number }> {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const server = require("node:net").createServer();
     server.listen({ host: ${JSON.stringify(address)}, port: ${wanted}, backlog: 1 }, () => {
       parentPort.postMessage(server.address());
       // Blocks the thread that would accept, until it is terminated.
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- What the worker above sends.
  const [{ port }] = (await once(worker, "message")) as [AddressInfo];
  // Linux keeps one connection more than the backlog, and does not answer the next.
  const fillers = [connect(port, address), connect(port, address)];
  await Promise.all(fillers.map((filler) => once(filler, "connect")));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}
