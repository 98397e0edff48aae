import { beforeAll, describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("rollout");

let half: Sender;
let observe: Sender;

beforeAll(async () => {
  half = await senderWith("half");
  observe = await senderWith("observe");
}, 60_000);

/** A sender that asks this map. */
function senderWith(map: string): Promise<Sender> {
  const table = `socketmap:${world().stsmapd.endpoints.inet}:${map}`;
  return world().addSender(`sender-${map}`, { smtp_tls_policy_maps: table });
}

/** A domain under attack: its policy names a host that an attacker has replaced by one without TLS. */
async function attacked(name: string): Promise<MailDomain> {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  return world().publish({ name, mx: [mx.plain], sts });
}

const delivered = { status: "sent", disclosedTo: [mx.plain] };
const deferred = {
  status: "deferred",
  reason: expect.stringMatching(/^TLS is required, but was not offered/u),
  disclosedTo: [],
};

// Of all domains, rollout-e.example comes at 36.5%, rollout-d.example at 90.1%.
describe("under attack, at a rollout of 50%", () => {
  it("a domain that the rollout has come to is deferred", async () => {
    expect(await world().send(await attacked("rollout-e.example"), half)).toMatchObject(deferred);
  });

  it("a domain that is held back is delivered, as without stsmapd", async () => {
    expect(await world().send(await attacked("rollout-d.example"), half)).toMatchObject(delivered);
  });
});

it("under attack, at rollout: observe, every domain is delivered", async () => {
  expect(await world().send(await attacked("rollout-a.example"), observe)).toMatchObject(delivered);
});

it("under attack, a map without a rollout enforces what others hold back", async () => {
  expect(await world().send(await attacked("rollout-d.example"))).toMatchObject(deferred);
});
