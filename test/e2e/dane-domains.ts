import { Resolver as DnsClient } from "node:dns/promises";
import { addressRecord, breakTlsa, daneHost, forgeTlsa, matchingTlsa } from "./dane-hosts.ts";
import { eventually } from "./process.ts";
import { policy, type World } from "./world.ts";

/** What the DNS of a recipient domain is like. */
interface DaneCase {
  readonly label: string;
  /** As docs/dane.md has it. */
  readonly text: string;
  /** Best first. */
  readonly hosts: readonly string[];
  /** Whether it comes without a policy as well as with one in mode enforce, or in one form alone. */
  readonly policy: "both" | "enforce" | "none";
  /** Signed without it. */
  readonly unsigned?: true;
  readonly records?: (world: World) => Promise<readonly string[]>;
  /** What happens to DNS after stsmapd has learnt the policy. */
  readonly change?: (world: World, name: string) => Promise<void>;
  /** Before that, stsmapd learns of the domain's DANE too. */
  readonly daneLearnt?: true;
}

const cases: readonly DaneCase[] = [
  { label: "all", text: "TLSA on every MX host", hosts: [daneHost.right], policy: "both" },
  { label: "none", text: "no TLSA", hosts: [daneHost.bare], policy: "both" },
  {
    label: "some",
    text: "two MX hosts, TLSA on the second only",
    hosts: [daneHost.bare, daneHost.right],
    policy: "both",
  },
  { label: "unusable", text: "TLSA that is not usable", hosts: [daneHost.unusable], policy: "both" },
  {
    label: "wrong",
    text: "TLSA that does not match the certificate",
    hosts: [daneHost.wrong],
    policy: "both",
  },
  {
    label: "alias",
    text: "MX host an alias, TLSA at its target",
    hosts: [daneHost.alias],
    policy: "enforce",
  },
  {
    label: "outward",
    text: "MX host an alias into an unsigned zone, TLSA at the alias does not match",
    hosts: [daneHost.outward],
    policy: "both",
  },
  {
    label: "implicit.dane",
    text: "no MX, TLSA on the domain itself",
    hosts: [],
    policy: "enforce",
    records: async ({ receivers }) => [
      `@ ${addressRecord(receivers)}`,
      `_25._tcp ${await matchingTlsa(receivers)}`,
    ],
  },
  { label: "null", text: "null MX", hosts: [], policy: "none", records: async () => ["@ MX 0 ."] },
  {
    label: "unsigned",
    text: "unsigned, MX host too, TLSA does not match",
    hosts: [daneHost.unsigned],
    policy: "both",
    unsigned: true,
  },
  {
    label: "unsigned-host",
    text: "MX host in an unsigned zone, TLSA does not match",
    hosts: [daneHost.unsigned],
    policy: "enforce",
  },
  {
    label: "insecure-mx",
    text: "unsigned, MX host signed with TLSA",
    hosts: [daneHost.right],
    policy: "both",
    unsigned: true,
  },
  {
    label: "insecure-mx-wrong",
    text: "unsigned, MX host signed, TLSA does not match",
    hosts: [daneHost.wrong],
    policy: "both",
    unsigned: true,
  },
  {
    label: "insecure-mx-failing",
    text: "unsigned, MX host signed, SERVFAIL for TLSA",
    hosts: [daneHost.failing],
    policy: "both",
    unsigned: true,
  },
  {
    label: "unsigned-failing",
    text: "MX host in an unsigned zone, SERVFAIL for TLSA",
    hosts: [daneHost.unsignedFailing],
    policy: "both",
  },
  {
    label: "failing",
    text: "SERVFAIL for TLSA",
    hosts: [daneHost.failing],
    policy: "both",
  },
  {
    label: "forged-tlsa",
    text: "TLSA with a bogus signature",
    hosts: [daneHost.ownZone],
    policy: "enforce",
    change: (world) => forgeTlsa(world, daneHost.ownZone),
  },
  {
    label: "forged-mx",
    text: "MX with a bogus signature",
    hosts: [daneHost.right],
    policy: "enforce",
    async change({ nameServer, resolver }, name) {
      await nameServer.freeze(name, (records) => records.replace("MX 10 right.", "MX 10 wrong."));
      await resolver.flush(name);
    },
  },
  {
    label: "expired",
    text: "all signatures expired",
    hosts: [daneHost.right],
    policy: "enforce",
    async change({ nameServer, resolver }, name) {
      await nameServer.letExpire(name);
      await eventually("signatures to expire", async () => {
        await resolver.flush(name);
        return fails(name);
      });
    },
  },
  {
    label: "later-none",
    text: "no TLSA, and after that was seen SERVFAIL",
    hosts: [daneHost.bareZone],
    policy: "enforce",
    daneLearnt: true,
    change: (world) => breakTlsa(world, daneHost.bareZone),
  },
  {
    label: "later-all",
    text: "TLSA, and after that was seen SERVFAIL",
    hosts: [daneHost.otherZone],
    policy: "enforce",
    daneLearnt: true,
    change: (world) => breakTlsa(world, daneHost.otherZone),
  },
];

/** A row of docs/dane.md. */
export interface DaneDomain extends DaneCase {
  readonly name: string;
  /** The names of its policy in mode enforce; undefined where it has none. */
  readonly allows: readonly string[] | undefined;
}

export const daneDomains: readonly DaneDomain[] = cases.flatMap((dns) => {
  const name = `${dns.label}.example`;
  const allows = dns.hosts.length > 0 ? dns.hosts : [name];
  const enforced = { ...dns, name, allows };
  const plain = { ...dns, name: dns.policy === "both" ? `no-policy-${name}` : name, allows: undefined };
  return { both: [enforced, plain], enforce: [enforced], none: [plain] }[dns.policy];
});

/** Publishes all domains as they are before any `change`. */
export async function publishDaneDomains(world: World): Promise<void> {
  for (const { name, hosts, unsigned, records, allows } of daneDomains) {
    await world.publish({
      name,
      mx: hosts,
      signed: unsigned === undefined,
      records: (await records?.(world)) ?? [],
      ...(allows !== undefined && { sts: { id: "1", policy: policy("enforce", allows) } }),
    });
  }
}

/** Whether the resolver answers SERVFAIL for the MX records of `name`. */
function fails(name: string): Promise<boolean> {
  return new DnsClient().resolveMx(name).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ESERVFAIL",
  );
}
