import { beforeAll, describe, expect, it } from "vitest";
import { forkyFolder, hasForky } from "./forky.ts";
import { eventually } from "./process.ts";
import { mx } from "./receivers.ts";
import { useWorld } from "./scenario.ts";
import type { Sender } from "./sender.ts";
import { type MailDomain, policy } from "./world.ts";

const world = useWorld("postfix311");
const map = (name: string) => ({ smtp_tls_policy_maps: `socketmap:inet:127.0.0.1:8461:${name}` });

const deliveredTo = (host: string) => ({ status: "sent", tls: "Verified", disclosedTo: [host] });
const skipped = {
  status: "deferred",
  reason: "server unavailable or unable to receive mail",
  tls: null,
  contacted: [],
};
/** Deferred, but only after a handshake with the host. */
const refused = (host: string) => ({
  status: "deferred",
  reason: "Server certificate not verified",
  contacted: [host],
  disclosedTo: [],
});

const result = ({ status }: { readonly status: string }) =>
  status === "sent" ? "let mail through" : "hold mail back";

/** A domain with a policy in enforce mode. */
function publish(label: string, hosts: readonly string[], patterns: readonly string[]): Promise<MailDomain> {
  const sts = { id: "1", policy: policy("enforce", patterns) };
  return world().publish({ name: `${label}.example`, mx: hosts, sts });
}

const comparison = [
  {
    what: "an MX host that the policy names",
    label: "named",
    hosts: [mx.good],
    patterns: [mx.good],
    in37: deliveredTo(mx.good),
    in311: deliveredTo(mx.good),
  },
  {
    what: "an MX host one label below a wildcard",
    label: "one-label",
    hosts: [mx.good],
    patterns: ["*.mx.example"],
    in37: deliveredTo(mx.good),
    in311: deliveredTo(mx.good),
  },
  {
    what: "an MX host two labels below a wildcard",
    label: "two-labels",
    hosts: [mx.deep],
    patterns: ["*.mx.example"],
    in37: deliveredTo(mx.deep),
    in311: skipped,
  },
  {
    what: "an MX host with a certificate for itself that no pattern allows",
    label: "not-allowed",
    hosts: [mx.good],
    patterns: ["mail.elsewhere.example"],
    in37: refused(mx.good),
    in311: skipped,
  },
  {
    what: "an MX host that no pattern allows, with a certificate for a host that one does",
    label: "borrowed-name",
    hosts: [mx.wrongName],
    patterns: ["other.mx.example"],
    in37: deliveredTo(mx.wrongName),
    in311: skipped,
  },
  {
    what: "an MX host below a wildcard, with a certificate for another host below it",
    label: "sibling",
    hosts: [mx.wrongName],
    patterns: ["*.mx.example"],
    in37: deliveredTo(mx.wrongName),
    in311: refused(mx.wrongName),
  },
  {
    what: "an MX host that is not allowed, before one that is",
    label: "several",
    hosts: [mx.deep, mx.good],
    patterns: ["*.mx.example"],
    in37: deliveredTo(mx.deep),
    in311: { ...deliveredTo(mx.good), contacted: [mx.good] },
  },
];

describe.skipIf(!(await hasForky()))("a policy in enforce mode (needs the forky folder)", () => {
  let sender311: Sender;
  let sender311Without: Sender;
  beforeAll(async () => {
    sender311 = await world().addSender("sender311", map("postfix310"), forkyFolder);
    sender311Without = await world().addSender("sender311-without", map("postfix"), forkyFolder);
  });

  it("meets the Postfix it is meant for", async () => {
    const { stdout } = await sender311.postfix.command("postconf", ["-h", "mail_version"]);
    // Forky is still on its way: it may bring a later one.
    expect(stdout).toMatch(/^3\.(?:1[1-9]|[2-9]\d)\./u);
  });

  describe.each(comparison)("and $what", ({ label, hosts, patterns, in37, in311 }) => {
    it(`${result(in311)} in Postfix 3.11 with the map postfix310`, async () => {
      const domain = await publish(label, hosts, patterns);
      expect(await world().send(domain, sender311)).toMatchObject(in311);
    });

    it(`${result(in37)} in Postfix 3.7, and in 3.11 with the map postfix`, async () => {
      const domain = await publish(label, hosts, patterns);
      expect(await world().send(domain)).toMatchObject(in37);
      expect(await world().send(domain, sender311Without)).toMatchObject(in37);
    });
  });

  it("has the host that was skipped named in the log", async () => {
    const domain = await publish("logged", [mx.deep], ["*.mx.example"]);
    await world().send(domain, sender311);
    const log = (await sender311.postfix.logLines()).join("\n");
    expect(log).toContain(`MX name '${mx.deep}' does not match STS MX pattern for 'logged.example'`);
  });

  it("lets mail go out at the next attempt when the owner has allowed the host", async () => {
    const domain = await publish("mended", [mx.deep], ["*.mx.example"]);
    const { recipient, ...first } = await world().send(domain, sender311);
    expect(first).toMatchObject(skipped);

    const mended = { id: "2", policy: policy("enforce", ["*.below.mx.example"]) };
    await world().publish({ ...domain, sts: mended });
    await eventually("the new policy to be answered", async () => {
      const { stdout } = await sender311.query(map("postfix310").smtp_tls_policy_maps, domain.name);
      return stdout.includes("mx_host_pattern=*.below.mx.example");
    });
    await sender311.flush();

    expect(await sender311.outcome(recipient, 2)).toMatchObject({ status: "sent", tls: "Verified" });
  });
});
