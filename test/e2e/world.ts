import { cp, glob } from "node:fs/promises";
import { basename, join } from "node:path";
import { CertificateAuthority } from "./certificates.ts";
import { NameServer } from "./name-server.ts";
import { worldFolder } from "./namespaces.ts";
import { PolicyHosts } from "./policy-hosts.ts";
import { receiverRecords, Receivers } from "./receivers.ts";
import { Resolver } from "./resolver.ts";
import type { Settings } from "./postfix-instance.ts";
import { type Outcome, Sender } from "./sender.ts";
import { Stsmapd } from "./stsmapd.ts";

/** A recipient domain as its owner set it up. */
export interface MailDomain {
  /** A name below `example`. */
  readonly name: string;
  /** Host names, best first. */
  readonly mx: readonly string[];
  /** Without it the domain has neither a record nor a policy host. */
  readonly sts?: { readonly id: string; readonly policy: string };
  /** Further lines of the zone. */
  readonly records?: readonly string[];
  /** DNSSEC; not signed by default. */
  readonly signed?: boolean;
}

export interface Delivery extends Outcome {
  /** The MX hosts that the sender connected to. */
  readonly contacted: readonly string[];
  /** Those of them that got to know of the message, delivered or not. */
  readonly disclosedTo: readonly string[];
}

/** In the checkout: the logs of the last run, as the world itself is gone when somebody wants to read them. */
const keptLogs = join(import.meta.dirname, "../../.e2e");

/** The text of a policy that holds for a day. */
export function policy(mode: "enforce" | "testing" | "none", patterns: readonly string[]): string {
  const lines = [
    "version: STSv1",
    `mode: ${mode}`,
    ...patterns.map((pattern) => `mx: ${pattern}`),
    "max_age: 86400",
  ];
  return `${lines.join("\r\n")}\r\n`;
}

/** DNS, policy hosts, receivers, a sender and stsmapd: all that a message meets on its way. */
export class World {
  readonly folder: string;
  readonly authority: CertificateAuthority;
  readonly nameServer: NameServer;
  readonly resolver: Resolver;
  readonly policyHosts: PolicyHosts;
  readonly receivers: Receivers;
  readonly sender: Sender;
  /** `sender`, and those that `addSender` added. */
  readonly senders: Sender[];
  readonly stsmapd: Stsmapd;

  private constructor(folder: string, authority: CertificateAuthority) {
    this.folder = folder;
    this.authority = authority;
    this.nameServer = new NameServer(`${folder}/knot`);
    this.resolver = new Resolver(`${folder}/unbound`);
    this.policyHosts = new PolicyHosts(`${folder}/nginx`, authority);
    this.receivers = new Receivers(`${folder}/receivers`, authority);
    this.sender = new Sender(`${folder}/sender`, authority.rootFile);
    this.senders = [this.sender];
    this.stsmapd = new Stsmapd(`${folder}/stsmapd`, authority.rootFile);
  }

  /** Builds a world and starts it. `name` is unique among the suite's files, and names the folder of its logs. */
  static async start(name: string): Promise<World> {
    const folder = `${worldFolder}/${name}`;
    const world = new World(folder, await CertificateAuthority.create(`${folder}/ca`));
    const started = await Promise.allSettled([
      world.#startDns(),
      world.policyHosts.start(),
      world.receivers.start(),
      world.stsmapd.start(),
      world.sender.postfix.start(),
    ]);
    const failed = started.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      await world.stop();
      throw failed.reason;
    }
    return world;
  }

  async #startDns(): Promise<void> {
    await this.nameServer.start();
    await this.nameServer.publish({ name: "mx.example", records: receiverRecords, signed: false });
    await this.resolver.start(this.nameServer.trustAnchor);
  }

  /** Stops everything, in reverse order, and keeps the logs in `keptLogs`. */
  async stop(): Promise<void> {
    await Promise.all(this.senders.map(({ postfix }) => postfix.stop()));
    await this.stsmapd.stop();
    await this.receivers.stop();
    await this.policyHosts.stop();
    await this.resolver.stop();
    await this.nameServer.stop();
    for await (const log of glob("**/*.log", { cwd: this.folder })) {
      await cp(join(this.folder, log), join(keptLogs, basename(this.folder), log));
    }
  }

  /** Starts one more sender, with settings of its own. `name` is that of its folder; `root` as in PostfixInstance. */
  async addSender(name: string, settings: Settings, root?: string): Promise<Sender> {
    const sender = new Sender(`${this.folder}/${name}`, this.authority.rootFile, settings, root);
    this.senders.push(sender);
    await sender.postfix.start();
    return sender;
  }

  /** Publishes the domain's zone and its policy, in place of what it had before. Both are in force when this returns. */
  async publish(domain: MailDomain): Promise<MailDomain> {
    const records = domain.mx.map((host, index) => `@ MX ${(index + 1) * 10} ${host}.`);
    if (domain.sts === undefined) {
      await this.policyHosts.takeDown(`mta-sts.${domain.name}`);
    } else {
      const address = await this.policyHosts.publish(`mta-sts.${domain.name}`, domain.sts.policy);
      records.push(`_mta-sts TXT "v=STSv1; id=${domain.sts.id};"`, `mta-sts A ${address}`);
    }
    records.push(...(domain.records ?? []));
    await this.nameServer.publish({ name: domain.name, records, signed: domain.signed ?? false });
    await this.resolver.flush(domain.name);
    return domain;
  }

  /** Sends a message to the domain, and waits for what becomes of it. */
  async send({ name }: MailDomain, sender = this.sender): Promise<Delivery> {
    const mark = await this.receivers.mark();
    const outcome = await sender.send(name);
    const sessions = await this.receivers.sessions(mark);
    const hosts = (some: typeof sessions) => some.map(({ receiver }) => receiver);
    return {
      ...outcome,
      contacted: hosts(sessions),
      disclosedTo: hosts(sessions.filter(({ mail }) => mail)),
    };
  }
}
