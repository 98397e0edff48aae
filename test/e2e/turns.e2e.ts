import { describe, expect, it } from "vitest";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Outcome } from "./sender.ts";
import { policy } from "./world.ts";

const world = useWorld("turns");

const MESSAGES = 5;

const delivered = { status: "sent", tls: "Verified" };

/** Something that mail needs, or may seem to need. */
interface Part {
  readonly name: string;
  readonly takeAway: () => Promise<unknown>;
  readonly giveBack: () => Promise<unknown>;
  /** What becomes of the first attempt to deliver while it is away; undefined where nobody tries. */
  readonly meanwhile: object | undefined;
  /** The attempt by which mail is delivered: more than the first only where something is missing for that. */
  readonly attempt: 1 | 2;
}

const noDns = {
  status: "deferred",
  reason: expect.stringMatching(/Host or domain name not found|Name service error/u),
};

const noLookup = { status: "deferred", reason: expect.stringMatching(/client TLS configuration problem/u) };

function parts(): Part[] {
  const { sender, stsmapd, resolver, policyHosts } = world();
  return [
    {
      name: "the policy hosts",
      takeAway: () => policyHosts.stop(),
      giveBack: () => policyHosts.start(),
      meanwhile: delivered,
      attempt: 1,
    },
    {
      name: "DNS",
      takeAway: () => resolver.stop(),
      giveBack: () => resolver.resume(),
      meanwhile: noDns,
      attempt: 2,
    },
    {
      name: "stsmapd, killed",
      takeAway: () => stsmapd.stop("SIGKILL"),
      giveBack: () => stsmapd.start(),
      meanwhile: noLookup,
      attempt: 2,
    },
    {
      name: "Postfix",
      takeAway: () => sender.postfix.stop(),
      giveBack: () => sender.postfix.start(),
      meanwhile: undefined,
      attempt: 1,
    },
    {
      name: "policy hosts and DNS together, over a restart of stsmapd",
      takeAway: async () => {
        await policyHosts.stop();
        await resolver.stop();
        await stsmapd.restart("SIGKILL");
      },
      giveBack: async () => {
        await resolver.resume();
        await policyHosts.start();
      },
      meanwhile: noDns,
      attempt: 2,
    },
  ];
}

describe("parts of the world taken away and given back in turn, while mail flows", () => {
  it("let no message out in clear, and defer none without need", async () => {
    const { sender, receivers } = world();
    const enforced = { id: "1", policy: policy("enforce", [mx.good]) };
    const kept = await world().publish({ name: "turns-kept.example", mx: [mx.good], sts: enforced });
    // Its MX records are an attacker's from the start: the policy does not name this host, which offers no STARTTLS.
    const forged = await world().publish({ name: "turns-forged.example", mx: [mx.plain], sts: enforced });
    expect(await world().send(kept)).toMatchObject(delivered);
    expect(await world().send(forged)).toMatchObject({ status: "deferred", disclosedTo: [] });
    const mark = await receivers.mark();

    const inject = async (domain: string) => {
      const recipients: string[] = [];
      for (let n = 0; n < MESSAGES; n++) recipients.push(await sender.inject(domain));
      return recipients;
    };
    const outcomes = (recipients: readonly string[], attempt: number): Promise<Outcome[]> =>
      Promise.all(recipients.map((recipient) => sender.outcome(recipient, attempt)));
    const all = (outcome: object) => Array.from({ length: MESSAGES }, () => expect.objectContaining(outcome));

    for (const { name, takeAway, giveBack, meanwhile, attempt } of parts()) {
      await takeAway();
      const toKept = await inject(kept.name);
      const toForged = await inject(forged.name);
      const first = meanwhile === undefined ? [] : await outcomes(toKept, 1);
      expect(first, `while ${name} are away`).toEqual(meanwhile === undefined ? [] : all(meanwhile));
      await giveBack();
      await sender.flush();
      expect(await outcomes(toKept, attempt), `${name}, given back`).toEqual(all(delivered));
      expect(await outcomes(toForged, 1), `${name}: forged MX`).toEqual(all({ status: "deferred" }));
      // Who is killed while it is asked cannot answer, and Postfix would rightly complain of that.
      await sender.settled();
    }

    const disclosures = (await receivers.sessions(mark)).filter(({ mail }) => mail);
    expect(disclosures).toHaveLength(parts().length * MESSAGES);
    expect(disclosures.filter(({ receiver, startTls }) => receiver !== mx.good || !startTls)).toEqual([]);
  }, 180_000);
});
