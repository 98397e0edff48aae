import { describe, expect, it } from "vitest";
import { encodeQuery } from "../../../src/net/dns/message.ts";
import { askOverTcp, askOverUdp } from "../../../src/net/dns/transport.ts";
import { startDnsServer } from "../../helpers/dns-server.ts";

/** Calls `action` after that many turns of the tick queue, with nothing else between. */
function afterTicks(ticks: number, action: () => void): void {
  if (ticks === 0) action();
  else process.nextTick(afterTicks, ticks - 1, action);
}

describe.each([
  ["askOverUdp", askOverUdp],
  ["askOverTcp", askOverTcp],
])("%s", (_name, ask) => {
  it("survives a signal that fires at any tick while the socket connects", async () => {
    await using dns = await startDnsServer();
    dns.behave("*", "drop");
    const query = encodeQuery(1, "example.com", "TXT", true);
    for (let ticks = 0; ticks < 12; ticks++) {
      const controller = new AbortController();
      const answer = ask({ host: dns.address, port: dns.port }, query, {
        timeoutMs: 5000,
        signal: controller.signal,
      });
      afterTicks(ticks, () => controller.abort());
      await expect(answer).rejects.toMatchObject({ code: "aborted" });
    }
  });

  it("fails at once for a port that is none", async () => {
    const query = encodeQuery(1, "example.com", "TXT", true);
    const answer = ask({ host: "127.0.0.1", port: 70_000 }, query, { timeoutMs: 5000, signal: undefined });
    await expect(answer).rejects.toMatchObject({ code: "network" });
  });
});
