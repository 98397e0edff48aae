/** Which table of `smtp_tls_policy_maps` is this daemon. */
import type { Config } from "../../config.ts";
import type { MapProfile } from "../../policy/map-profile.ts";
import type { Listening, KnownListener } from "./listening.ts";
import { listenerOf, parsePolicyTables } from "./policy-tables.ts";
import type { Place, PolicyServer, PolicyTable } from "./policy-tables.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";

export interface OwnTable {
  readonly table: PolicyTable;
  readonly server: PolicyServer;
  readonly listener: KnownListener;
  /** The map it asks for, known or not. */
  readonly map: string;
  readonly profile: MapProfile;
  /** What the path of a unix socket means to the processes that ask. */
  readonly place: Place;
}

/** What a map that the configuration does not have is answered as. */
export const FALLBACK_MAP = "postfix";

/** The first table that every process which asks it finds to be one of our listeners. */
export function findOwnTable(
  facts: PostfixFacts,
  { listeners }: Listening,
  maps: Config["maps"],
): OwnTable | undefined {
  for (const table of tablesOf(facts)) {
    const { server } = table;
    if (server === undefined) continue;
    const places = placesOf(facts, table);
    const found = places.map((place) => listenerOf(server, listeners, place));
    const [place] = places;
    const [listener] = found;
    if (place === undefined || listener === undefined || found.includes(undefined)) continue;
    const map = server.map ?? (listener.protocol === "tcp_table" ? listener.map : FALLBACK_MAP);
    const profile = maps[map] ?? maps[FALLBACK_MAP];
    if (profile !== undefined) return { table, server, listener, map, profile, place };
  }
  return undefined;
}

export function tablesOf({ parameters }: PostfixFacts): PolicyTable[] {
  return parsePolicyTables(parameters["smtp_tls_policy_maps"] ?? "");
}

/** At least one: each way in which the processes that ask `table` see the file system. */
export function placesOf(facts: PostfixFacts, { proxied }: PolicyTable): Place[] {
  const queueFolder = facts.parameters["queue_directory"] ?? "";
  const askers = proxied
    ? facts.services.filter(({ program }) => program === "proxymap")
    : smtpClients(facts);
  const chroots = new Set(askers.map(({ chroot }) => chroot));
  return Array.from(chroots.size === 0 ? [false] : chroots, (chroot) => ({ queueFolder, chroot }));
}
