import { X509Certificate, createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { mx, type Receivers } from "./receivers.ts";
import type { World } from "./world.ts";

/**
 * MX hosts by what DNS says of them. Behind all of them is one server, whose certificate is good for every name in this zone;
 * so whether mail gets through is decided by DNS and policy alone.
 */
export const daneHost = {
  /** A TLSA record that matches. */
  right: "right.dane.example",
  /** A TLSA record of another key. */
  wrong: "wrong.dane.example",
  /** A TLSA record with a usage that is not for SMTP. */
  unusable: "unusable.dane.example",
  /** No TLSA record. */
  bare: "bare.dane.example",
  /** SERVFAIL for TLSA. */
  failing: "failing.dane.example",
  /** An alias of `right`. */
  alias: "alias.dane.example",
  /** An alias of a host in an unsigned zone, with a TLSA record of another key. */
  outward: "outward.dane.example",
  /** In an unsigned zone, with a TLSA record of another key. */
  unsigned: "unsigned.dane.example",
  /** In an unsigned zone, SERVFAIL for TLSA. */
  unsignedFailing: "unsigned-failing.dane.example",
  /** In a signed zone of its own, with a TLSA record that matches. */
  ownZone: "own-zone.dane.example",
  /** The same. */
  otherZone: "other-zone.dane.example",
  /** In a signed zone of its own, without a TLSA record. */
  bareZone: "bare-zone.dane.example",
} as const;

const wrong = `TLSA 3 1 1 ${"5a".repeat(32)}`;

/** Publishes the hosts' zones. */
export async function publishDaneHosts({ nameServer, receivers }: World): Promise<void> {
  const address = addressRecord(receivers);
  const right = await matchingTlsa(receivers);
  const host = (name: string, tlsa: string) => [`${name}. ${address}`, `_25._tcp.${name}. ${tlsa}`];
  const records = [
    ...host(daneHost.right, right),
    ...host(daneHost.wrong, wrong),
    ...host(daneHost.unusable, right.replace("3 1 1", "1 1 1")),
    `${daneHost.bare}. ${address}`,
    `${daneHost.failing}. ${address}`,
    `${daneHost.alias}. CNAME ${daneHost.right}.`,
    `${daneHost.outward}. CNAME ${mx.wildcard}.`,
    `_25._tcp.${daneHost.outward}. ${wrong}`,
  ];
  await nameServer.publish({ name: "dane.example", records, signed: true });
  await nameServer.publishBroken(`_25._tcp.${daneHost.failing}`);
  await nameServer.publish({
    name: daneHost.unsigned,
    records: host(daneHost.unsigned, wrong),
    signed: false,
  });
  const bare = [`@ ${address}`];
  await nameServer.publish({ name: daneHost.unsignedFailing, records: bare, signed: false });
  await nameServer.publishBroken(`_25._tcp.${daneHost.unsignedFailing}`);
  await nameServer.publish({ name: daneHost.bareZone, records: bare, signed: true });
  for (const name of [daneHost.ownZone, daneHost.otherZone]) {
    await nameServer.publish({ name, records: host(name, right), signed: true });
  }
}

/** From now on TLSA of a host in a zone of its own ends in SERVFAIL. */
export async function breakTlsa({ nameServer, receivers, resolver }: World, name: string): Promise<void> {
  await nameServer.publish({ name, records: [`@ ${addressRecord(receivers)}`], signed: true });
  await nameServer.publishBroken(`_25._tcp.${name}`);
  await resolver.flush(name);
}

/** From now on TLSA of a host in a zone of its own is not what was signed. */
export async function forgeTlsa({ nameServer, resolver }: World, name: string): Promise<void> {
  await nameServer.freeze(name, (records) => records.replace(/TLSA 3 1 1 \w+/u, wrong));
  await resolver.flush(name);
}

/** The address record of all these hosts, without the owner. */
export function addressRecord(receivers: Receivers): string {
  return `A ${receivers.addressOf(mx.wildcard)}`;
}

/** The TLSA record that matches their certificate, without the owner: DANE-EE, SHA-256 of the public key. */
export async function matchingTlsa(receivers: Receivers): Promise<string> {
  const { publicKey } = new X509Certificate(await readFile(receivers.certificateOf(mx.wildcard)));
  const key = publicKey.export({ type: "spki", format: "der" });
  return `TLSA 3 1 1 ${createHash("sha256").update(key).digest("hex")}`;
}
