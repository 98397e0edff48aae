import { describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("outage");

const delivered = { status: "sent", tls: "Verified" };

function publishEnforced(name: string): Promise<MailDomain> {
  return world().publish({ name, mx: [mx.good], sts: { id: "1", policy: policy("enforce", [mx.good]) } });
}

describe("while stsmapd is down", () => {
  it.each(["SIGTERM", "SIGKILL"] as const)(
    "mail waits, and goes out once it is back (%s)",
    async (signal) => {
      const { sender, stsmapd } = world();
      const domain = await publishEnforced(`outage-${signal.toLowerCase()}.example`);

      await stsmapd.stop(signal);
      const { recipient, status, disclosedTo } = await world().send(domain);
      expect({ status, disclosedTo }).toEqual({ status: "deferred", disclosedTo: [] });

      await stsmapd.start();
      await sender.flush();
      expect(await sender.outcome(recipient, 2)).toMatchObject(delivered);
    },
  );

  it("a restart between two messages costs neither of them", async () => {
    const domain = await publishEnforced("outage-restart.example");
    expect(await world().send(domain)).toMatchObject(delivered);

    await world().stsmapd.restart("SIGTERM");

    expect(await world().send(domain)).toMatchObject(delivered);
  });
});

describe("while DNS is down", () => {
  it("stsmapd answers a known domain from memory, and finds nothing for an unknown one", async () => {
    const { sender, stsmapd, resolver } = world();
    const domain = await publishEnforced("outage-dns.example");
    const map = `socketmap:${stsmapd.endpoints.inet}:postfix`;
    const before = await sender.query(map, domain.name);
    expect(before).toMatchObject({ code: 0, stderr: "" });

    await resolver.stop();
    const known = await sender.query(map, domain.name);
    const unknown = await sender.query(map, "outage-unknown.example");
    await resolver.resume();

    expect(known).toEqual(before);
    expect(unknown).toEqual({ code: 1, stdout: "", stderr: "" });
  });
});
