import { type Outcome, Sender } from "./sender.ts";
import type { World } from "./world.ts";

/** The map of stsmapd's configuration in the world, and what it does with DANE. */
export type DaneSetting = "yield" | "dane-only" | "ignore";
export const daneSettings: readonly DaneSetting[] = ["yield", "dane-only", "ignore"];

/** Whether Postfix does DANE itself. */
export type OwnLevel = "dane" | "may";
const ownLevels: readonly OwnLevel[] = ["dane", "may"];

const levelOptions: Readonly<Record<OwnLevel, string>> = {
  dane: "-o smtp_tls_security_level=dane -o smtp_dns_support_level=dnssec",
  may: "-o smtp_tls_security_level=may",
};

/** Each a transport of its own, and the local part of the recipients that it gets. */
const services = ownLevels.flatMap((level) =>
  daneSettings.map((setting) => ({ name: serviceName(level, setting), level, setting })),
);

function serviceName(level: OwnLevel, setting: DaneSetting): string {
  return `${level}-${setting}`;
}

/** The map as Postfix writes it. */
export function daneMap({ stsmapd }: World, setting: DaneSetting): string {
  return `socketmap:${stsmapd.endpoints.inet}:${setting}`;
}

/** A Postfix with an smtp(8) for each own level and setting, chosen by the local part of the recipient. */
export class DaneSender {
  readonly #sender: Sender;

  private constructor(sender: Sender) {
    this.#sender = sender;
  }

  static async start(world: World): Promise<DaneSender> {
    const rules = services.map(({ name }) => `{/^${name}@/ ${name}:}`);
    const sender = new Sender(`${world.folder}/dane-sender`, world.authority.rootFile, {
      transport_maps: `regexp:{${rules.join(", ")}}`,
    });
    world.senders.push(sender);
    const lines = services.map(
      ({ name, level, setting }) =>
        `${name} unix - - n - 5 smtp ${levelOptions[level]} -o smtp_tls_policy_maps=${daneMap(world, setting)}\n`,
    );
    await sender.postfix.start(lines.join(""));
    return new DaneSender(sender);
  }

  /** Sends one message to all these domains by every smtp(8). */
  async inject(domains: readonly string[]): Promise<void> {
    await this.#sender.injectTo(domains.flatMap((domain) => services.map(({ name }) => `${name}@${domain}`)));
  }

  /** Waits for what became of it. */
  outcome(level: OwnLevel, setting: DaneSetting, domain: string): Promise<Outcome> {
    return this.#sender.outcome(`${serviceName(level, setting)}@${domain}`);
  }
}
