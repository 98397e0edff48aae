import { describe, expect, it } from "vitest";
import { eventually } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { policy } from "./world.ts";

const world = useWorld("policy-change");

const enforced = { id: "1", policy: policy("enforce", [mx.good]) };

describe("a domain that changes its policy", () => {
  it("is fetched from once for an id, however often its record is looked up", async () => {
    const { resolver, policyHosts } = world();
    const domain = await world().publish({ name: "steady.example", mx: [mx.good], sts: enforced });
    await world().send(domain);

    await eventually("the record to be looked up again", async () => {
      expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });
      return (await resolver.queries("_mta-sts.steady.example", "TXT")) > 2;
    });

    expect(await policyHosts.fetches("mta-sts.steady.example")).toBe(1);
  });

  it("gets its mail by the new policy once that has been seen", async () => {
    const domain = await world().publish({ name: "relaxed.example", mx: [mx.plain], sts: enforced });
    expect(await world().send(domain)).toMatchObject({ status: "deferred", disclosedTo: [] });

    await world().publish({ ...domain, sts: { id: "2", policy: policy("none", []) } });

    await eventually("a message to be delivered", async () => (await world().send(domain)).status === "sent");
    expect(await world().policyHosts.fetches("mta-sts.relaxed.example")).toBe(2);
  });

  it("is held to the old policy as long as the new one cannot be fetched", async () => {
    const { resolver } = world();
    const domain = await world().publish({ name: "unfetchable.example", mx: [mx.good], sts: enforced });
    expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });

    const records = ['_mta-sts TXT "v=STSv1; id=2;"', "mta-sts A 10.53.3.1"];
    await world().publish({ name: domain.name, mx: [mx.plain], records });

    const asked = await resolver.queries("mta-sts.unfetchable.example", "A");
    await eventually("the new policy to be asked for", async () => {
      expect(await world().send(domain)).toMatchObject({ status: "deferred", disclosedTo: [] });
      return (await resolver.queries("mta-sts.unfetchable.example", "A")) > asked;
    });
    expect(await world().send(domain)).toMatchObject({ status: "deferred", disclosedTo: [] });
  });
});
