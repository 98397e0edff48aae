import { describe, expect, it } from "vitest";
import { eventually } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("attack");

/** A domain that has had one message, so that its policy is known. */
async function knownDomain(name: string): Promise<MailDomain> {
  const sts = { id: "1", policy: policy("enforce", [mx.good]) };
  const domain = await world().publish({ name, mx: [mx.good], sts });
  expect(await world().send(domain)).toMatchObject({ status: "sent", tls: "Verified" });
  return domain;
}

/** What an attacker with the domain's DNS can do: no record, no policy host, and an MX host of his choice. */
async function takeOver({ name }: MailDomain, host: string): Promise<void> {
  await world().publish({ name, mx: [host] });
}

const heldBack = {
  status: "deferred",
  reason: expect.stringMatching(/^(?:Server certificate not verified|TLS is required, but was not offered)/u),
  disclosedTo: [],
};

describe("a domain whose policy is known, taken over by an attacker", () => {
  it("gets nothing in clear on an MX host without STARTTLS", async () => {
    const domain = await knownDomain("attacked-plain.example");
    await takeOver(domain, mx.plain);
    expect(await world().send(domain)).toMatchObject(heldBack);
  });

  it("gets nothing on an MX host with a certificate of the attacker's own", async () => {
    const domain = await knownDomain("attacked-self-signed.example");
    await takeOver(domain, mx.selfSigned);
    expect(await world().send(domain)).toMatchObject(heldBack);
  });

  it("keeps its policy after its record was looked for again and not found", async () => {
    const { resolver } = world();
    const domain = await knownDomain("attacked-rechecked.example");
    const record = `_mta-sts.${domain.name}`;
    await takeOver(domain, mx.plain);
    const seen = await resolver.queries(record, "TXT");

    await eventually("the record to be looked up again", async () => {
      expect(await world().send(domain)).toMatchObject(heldBack);
      return (await resolver.queries(record, "TXT")) > seen;
    });

    expect(await world().send(domain)).toMatchObject(heldBack);
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("gets nothing in clear after stsmapd got %s", async (signal) => {
    const domain = await knownDomain(`attacked-${signal.toLowerCase()}.example`);
    await takeOver(domain, mx.plain);

    await world().stsmapd.restart(signal);

    expect(await world().send(domain)).toMatchObject(heldBack);
  });

  it("gets its mail again when its owner is back", async () => {
    const { sender } = world();
    const domain = await knownDomain("attacked-restored.example");
    await takeOver(domain, mx.plain);
    const { recipient, ...first } = await world().send(domain);
    expect(first).toMatchObject(heldBack);

    await world().publish(domain);
    await sender.flush();

    expect(await sender.outcome(recipient, 2)).toMatchObject({ status: "sent", tls: "Verified" });
  });
});
