/** Whether Postfix asks this daemon, and for a map that suits it. */
import type { Config, Listener } from "../../config.ts";
import { formatListenAddress } from "../../net/listen-address.ts";
import type { MapProfile } from "../../policy/map-profile.ts";
import { ok, problem, skipped, warning } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { listenerOf, parsePolicyTables, pathOutside } from "./policy-tables.ts";
import type { Place, PolicyServer, PolicyTable } from "./policy-tables.ts";
import { smtpClients } from "./postfix-facts.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { isAtLeast, mapFor } from "./postfix-version.ts";

/** The table of `smtp_tls_policy_maps` that is this daemon. */
export interface OwnTable {
  readonly table: PolicyTable;
  readonly server: PolicyServer;
  readonly listener: Listener;
  /** The map it asks for, known or not. */
  readonly map: string;
  readonly profile: MapProfile;
  /** What an absolute path of a unix socket means to the processes that ask. */
  readonly place: Place;
}

/** What a map that the configuration does not have is answered as. */
const FALLBACK_MAP = "postfix";

/** The first table that every process which asks it finds to be one of our listeners. */
export function findOwnTable(
  facts: PostfixFacts,
  config: Pick<Config, "listen" | "maps">,
): OwnTable | undefined {
  for (const table of tablesOf(facts)) {
    const { server } = table;
    if (server === undefined) continue;
    const found = placesOf(facts, table).map((place) => ({
      place,
      listener: listenerOf(server, config.listen, place),
    }));
    const [first] = found;
    if (first?.listener === undefined || found.some(({ listener }) => listener === undefined)) continue;
    const { place, listener } = first;
    const map = server.map ?? (listener.protocol === "tcp_table" ? listener.map : FALLBACK_MAP);
    const profile = config.maps[map] ?? config.maps[FALLBACK_MAP];
    if (profile !== undefined) return { table, server, listener, map, profile, place };
  }
  return undefined;
}

export function judgePolicyTable(
  facts: PostfixFacts,
  config: Pick<Config, "listen">,
  own: OwnTable | undefined,
): Finding {
  const tables = tablesOf(facts);
  if (own !== undefined) {
    const index = tables.findIndex(({ text }) => text === own.table.text);
    const before = tables.slice(0, index).map(({ text }) => text);
    const note = before.length === 0 ? "" : `; asked before it: ${before.join(", ")}`;
    return ok("policy-table", `${own.table.text}${note}`);
  }
  const mend = facts.commands.set({
    smtp_tls_policy_maps: [facts.writtenPolicyMaps, tableFor(facts, config)].filter(Boolean).join(", "),
  });
  if (tables.length === 0)
    return problem("policy-table", "smtp_tls_policy_maps is empty: Postfix asks nobody", mend);
  const mistaken = tables.find((table) => isOursOutsideChroot(facts, table, config));
  if (mistaken !== undefined) {
    const text = `smtp(8) is chrooted, and finds no listener of the configuration by the path in ${mistaken.text}`;
    return problem("policy-table", text, mendChroot(facts, mistaken, config));
  }
  const addresses = config.listen.map(({ address }) => formatListenAddress(address)).join(", ");
  const listed = tables.map(({ text }) => text).join(", ");
  return problem("policy-table", `none of ${listed} is a listener of the configuration (${addresses})`, mend);
}

/** Whether the map that is asked for suits this version of Postfix. */
export function judgeMap(
  { commands, version, writtenPolicyMaps, parameters }: PostfixFacts,
  own: OwnTable | undefined,
  maps: Config["maps"],
): Finding {
  if (own === undefined) return skipped("map", "Postfix does not ask this daemon");
  const { map, profile, table } = own;
  const isNew = isAtLeast(version, 3, 10);
  const better = map.startsWith("QUERY") ? (isNew ? "QUERYwithTLSRPT" : "QUERY") : mapFor(version);
  const written = writtenPolicyMaps.includes(table.text)
    ? writtenPolicyMaps
    : (parameters["smtp_tls_policy_maps"] ?? "");
  const renamed = written.replace(table.text, () => table.text.replace(/[^:]+$/, better));
  const wanted = isNew ? "3.10" : "3.4";
  const isBuiltIn = ["postfix", "postfix310", "QUERY", "QUERYwithTLSRPT"].includes(map);
  const mend =
    own.server.map === undefined
      ? [`# stsmapd.yaml: give the listener map: ${better}, then: systemctl restart stsmapd`]
      : isBuiltIn || !Object.hasOwn(maps, map)
        ? commands.set({ smtp_tls_policy_maps: renamed })
        : [`# stsmapd.yaml: maps: { ${map}: { attributes: "${wanted}" } }, then: systemctl reload stsmapd`];
  if (!Object.hasOwn(maps, map))
    return warning("map", `the configuration has no map ${map}: it is answered as ${FALLBACK_MAP}`, mend);
  if (profile.attributes === "3.10" && !isNew) {
    const text = `${map} sends attributes that Postfix ${version} refuses: it defers all mail to domains with a policy`;
    return problem("map", text, mend);
  }
  if (profile.attributes === "3.4" && isNew) {
    const text = `${map} leaves out what Postfix ${version} needs to skip MX hosts that no pattern allows, and for TLSRPT`;
    return warning("map", text, mend);
  }
  return ok("map", `${map}: attributes of ${profile.attributes}, dane: ${profile.dane}`);
}

function tablesOf({ parameters }: PostfixFacts): PolicyTable[] {
  return parsePolicyTables(parameters["smtp_tls_policy_maps"] ?? "");
}

/** One for each way in which the processes that ask `table` see the file system. */
function placesOf(facts: PostfixFacts, { proxied }: PolicyTable): Place[] {
  const queueFolder = facts.parameters["queue_directory"] ?? "";
  const askers = proxied
    ? facts.services.filter(({ program }) => program === "proxymap")
    : smtpClients(facts);
  const chroots = new Set(askers.map(({ chroot }) => chroot));
  return Array.from(chroots.size === 0 ? [false] : chroots, (chroot) => ({ queueFolder, chroot }));
}

/** The table for the first listener. */
function tableFor(facts: PostfixFacts, { listen }: Pick<Config, "listen">): string {
  const [listener] = listen;
  const map = mapFor(facts.version);
  if (listener === undefined) return `socketmap:inet:127.0.0.1:8461:${map}`;
  const { address } = listener;
  if (address.kind === "tcp") {
    const endpoint = formatListenAddress(address);
    return listener.protocol === "tcp_table" ? `tcp:${endpoint}` : `socketmap:inet:${endpoint}:${map}`;
  }
  return `socketmap:unix:${inQueue(address.path, facts) ?? address.path}:${map}`;
}

function isOursOutsideChroot(
  facts: PostfixFacts,
  { server }: PolicyTable,
  { listen }: Pick<Config, "listen">,
): boolean {
  const place = { queueFolder: facts.parameters["queue_directory"] ?? "", chroot: false };
  return server !== undefined && listenerOf(server, listen, place) !== undefined;
}

/** A path relative to the queue folder is the same in the chroot and outside; a socket elsewhere is out of reach there. */
function mendChroot(
  facts: PostfixFacts,
  { server, text }: PolicyTable,
  { listen }: Pick<Config, "listen">,
): string[] {
  const { commands, parameters, writtenPolicyMaps } = facts;
  const place = { queueFolder: parameters["queue_directory"] ?? "", chroot: false };
  const path = server?.endpoint.kind === "unix" ? server.endpoint.path : "";
  const relative = inQueue(pathOutside(path, place), facts);
  if (relative !== undefined) {
    const next = text.replace(path, relative);
    return commands.set({ smtp_tls_policy_maps: writtenPolicyMaps.replace(text, () => next) });
  }
  const tcp = listen.find(({ protocol, address }) => protocol === "socketmap" && address.kind === "tcp");
  if (tcp !== undefined) {
    const next = `socketmap:inet:${formatListenAddress(tcp.address)}:${server?.map ?? mapFor(facts.version)}`;
    return commands.set({ smtp_tls_policy_maps: writtenPolicyMaps.replace(text, () => next) });
  }
  const folder = place.queueFolder;
  return [`# stsmapd.yaml: let it listen below ${folder}, as postfix-examples/socketmap-unix.cf says`];
}

function inQueue(path: string, { parameters }: PostfixFacts): string | undefined {
  const prefix = `${parameters["queue_directory"]}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}
