import { mkdir, writeFile } from "node:fs/promises";
import { Daemon, mustRun, run } from "./process.ts";

/** Where the name server listens; every zone of the world is served from here. */
export const nameServerAddress = "10.53.0.53";

export interface Zone {
  /** Without the final dot; "" is the root. */
  readonly name: string;
  /** Lines of a zone file, relative to the zone: SOA, NS and delegations come by themselves. */
  readonly records: readonly string[];
  /** Signed by knot, with a DS record in the parent. */
  readonly signed: boolean;
}

const header = `$TTL 1
@ SOA ns.example. hostmaster.example. SERIAL 60 60 600 1
@ NS ns.example.
`;

/** Knot: the root, `example`, and a zone for each domain of the scenarios, all in one authoritative server. */
export class NameServer {
  readonly #folder: string;
  readonly #zones = new Map<string, Zone>();
  /** Key: zone name; value: its DS records as the parent publishes them. */
  readonly #delegationSigners = new Map<string, string[]>();
  /** Zones that are no longer signed: their files hold signatures. */
  readonly #frozen = new Set<string>();
  /** Zones whose signatures hold for a few seconds only. */
  readonly #shortLived = new Set<string>();
  #serial = 1;
  #knot: Daemon | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    await mkdir(`${this.#folder}/zones`, { recursive: true });
    await mkdir(`${this.#folder}/db`);
    const nameServer = `ns A ${nameServerAddress}`;
    for (const zone of [
      { name: "", records: [`ns.example. A ${nameServerAddress}`], signed: true },
      { name: "example", records: [nameServer], signed: true },
    ]) {
      await this.#register(zone);
    }
    await this.#write([...this.#zones.values()]);
    const args = ["-c", this.#config];
    this.#knot = await Daemon.start("knotd", args, `${this.#folder}/knot.log`);
    await this.#knot.ready(async () => (await run("knotc", ["-c", this.#config, "status"])).code === 0);
    await this.#reload(["", "example"]);
  }

  async stop(): Promise<void> {
    await this.#knot?.stop();
  }

  /** DS record of the root: the trust anchor of the world. */
  get trustAnchor(): string {
    return `. ${this.#delegationSigners.get("")?.[0]}`;
  }

  /** Adds a zone below `example`, or replaces it. It is served when this returns. */
  async publish(zone: Zone): Promise<void> {
    const known = this.#zones.get(zone.name);
    this.#frozen.delete(zone.name);
    this.#shortLived.delete(zone.name);
    await this.#register(zone);
    const changed = known?.signed === zone.signed ? [zone] : [zone, this.#parent(zone.name)];
    await this.#write(changed);
    await this.#reload(changed.map(({ name }) => name));
  }

  /** Delegates a zone that the server has no file of: it answers SERVFAIL, and so does a resolver. */
  async publishBroken(name: string): Promise<void> {
    await this.#register({ name, records: [], signed: false });
    const parent = this.#parent(name);
    await this.#write([parent]);
    await this.#reload([parent.name]);
  }

  /**
   * Serves a signed zone on with the signatures it has, and `change` made to its text (a record a line, full names): what was
   * signed is then no longer what is served.
   */
  async freeze(name: string, change: (records: string) => string): Promise<void> {
    const records = await mustRun("knotc", ["-c", this.#config, "zone-read", `${name}.`]);
    this.#frozen.add(name);
    await this.#writeConfig();
    await writeFile(this.#zoneFile(name), change(records.replaceAll(`[${name}.] `, "")));
    await this.#reload([name]);
  }

  /** Signs a signed zone for the last time: its signatures expire in a few seconds. */
  async letExpire(name: string): Promise<void> {
    this.#shortLived.add(name);
    await this.#writeConfig();
    await mustRun("knotc", ["-c", this.#config, "reload"]);
    await mustRun("knotc", ["-c", this.#config, "-b", "zone-sign", `${name}.`]);
    await this.freeze(name, (records) => records);
  }

  async #register(zone: Zone): Promise<void> {
    this.#zones.set(zone.name, zone);
    await this.#writeConfig();
    if (!zone.signed || this.#delegationSigners.has(zone.name)) return;
    const keymgr = (...args: string[]) => mustRun("keymgr", ["-c", this.#config, `${zone.name}.`, ...args]);
    await keymgr("generate", "algorithm=ECDSAP256SHA256", "ksk=yes", "zsk=yes");
    const records = (await keymgr("ds")).trim().split("\n");
    this.#delegationSigners.set(
      zone.name,
      records.map((record) => record.slice(record.indexOf(" DS ") + 1)),
    );
  }

  #parent(name: string): Zone {
    const candidates = [...this.#zones.values()].filter(
      (zone) => zone.name !== name && (zone.name === "" || name.endsWith(`.${zone.name}`)),
    );
    return candidates.reduce((nearest, zone) => (zone.name.length > nearest.name.length ? zone : nearest));
  }

  #delegations(parent: Zone): string[] {
    const children = [...this.#zones.keys()].filter((name) => name !== "" && this.#parent(name) === parent);
    return children.flatMap((name) => [
      `${name}. NS ns.example.`,
      ...(this.#zones.get(name)?.signed ? (this.#delegationSigners.get(name) ?? []) : []).map(
        (ds) => `${name}. ${ds}`,
      ),
    ]);
  }

  async #write(zones: readonly Zone[]): Promise<void> {
    this.#serial += 1;
    for (const zone of zones) {
      const lines = [...zone.records, ...this.#delegations(zone)].join("\n");
      const text = header.replace("SERIAL", String(this.#serial)) + lines;
      await writeFile(this.#zoneFile(zone.name), `${text}\n`);
    }
  }

  async #reload(names: readonly string[]): Promise<void> {
    await mustRun("knotc", ["-c", this.#config, "reload"]);
    await mustRun("knotc", ["-c", this.#config, "-b", "zone-reload", ...names.map((name) => `${name}.`)]);
  }

  get #config(): string {
    return `${this.#folder}/knot.conf`;
  }

  #zoneFile(name: string): string {
    return `${this.#folder}/zones/${name === "" ? "root" : name}.zone`;
  }

  async #writeConfig(): Promise<void> {
    const zones = [...this.#zones.values()].map(
      ({ name, signed }) => `
  - domain: ${name}.
    file: ${this.#zoneFile(name)}
    zonefile-sync: -1
    zonefile-load: ${this.#frozen.has(name) ? "whole" : "difference-no-serial"}
    journal-content: ${this.#frozen.has(name) ? "none" : "all"}
    dnssec-signing: ${signed && !this.#frozen.has(name) ? "on" : "off"}
    dnssec-policy: ${this.#shortLived.has(name) ? "short-lived" : "world"}`,
    );
    const text = `
server:
    rundir: ${this.#folder}
    listen: ${nameServerAddress}@53
database:
    storage: ${this.#folder}/db
log:
  - target: stderr
    any: info
policy:
  - id: world
    manual: on
    single-type-signing: on
  - id: short-lived
    manual: on
    single-type-signing: on
    rrsig-lifetime: 3
    rrsig-refresh: 2
    rrsig-pre-refresh: 0
    propagation-delay: 0
zone:${zones.join("")}
`;
    await writeFile(this.#config, text);
  }
}
