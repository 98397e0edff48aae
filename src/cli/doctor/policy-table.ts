/** Whether Postfix asks this daemon, and the setting with which it would. */
import { formatListenAddress } from "../../net/listen-address.ts";
import { ok, problem, unknown } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { LIST_SOCKETS } from "./listening.ts";
import type { KnownListener, Listening } from "./listening.ts";
import { tablesOf } from "./own-table.ts";
import type { OwnTable } from "./own-table.ts";
import { isOnThisMachine, listenerOf, pathOutside } from "./policy-tables.ts";
import type { Place, PolicyTable } from "./policy-tables.ts";
import type { PostfixFacts } from "./postfix-facts.ts";
import { mapFor } from "./postfix-version.ts";

export function judgePolicyTable(
  facts: PostfixFacts,
  listening: Listening,
  own: OwnTable | undefined,
): Finding {
  const tables = tablesOf(facts);
  if (own !== undefined) {
    const index = tables.findIndex(({ text }) => text === own.table.text);
    const before = tables.slice(0, index).map(({ text }) => text);
    const note = before.length === 0 ? "" : `; asked before it: ${before.join(", ")}`;
    return ok("policy-table", `${own.table.text}${note}`);
  }
  if (tables.length === 0) {
    const text = "smtp_tls_policy_maps is empty: Postfix asks nobody";
    return problem("policy-table", text, mendWithOwn(facts, undefined, listening));
  }
  for (const table of tables) {
    const place = placeWhereOurs(facts, table, listening);
    if (place === undefined) continue;
    const text = `not every smtp(8) finds a listener by the path in ${table.text}: some run in a chroot, ${place.queueFolder}`;
    return problem("policy-table", text, mendPath(facts, table, place, listening));
  }
  const known = listening.listeners.map(({ address }) => formatListenAddress(address));
  const addresses = [...known, ...listening.unknown].join(", ");
  const listed = tables.map(({ text }) => text).join(", ");
  if (listening.unknown.length > 0)
    return unknown("policy-table", `whether one of ${listed} leads to ${addresses}`, LIST_SOCKETS);
  const text = `none of ${listed} is a listener of the daemon (${addresses})`;
  // A server on this machine that is none of ours was meant to be us, or is what we replace.
  const stale = tables.find(({ server }) => server !== undefined && isOnThisMachine(server));
  return problem("policy-table", text, mendWithOwn(facts, stale, listening));
}

/** The commands that have Postfix ask the daemon, in the place of `stale` or at the end of the list. */
function mendWithOwn(
  facts: PostfixFacts,
  stale: PolicyTable | undefined,
  { listeners }: Listening,
): string[] {
  const [listener] = listeners;
  if (listener === undefined)
    return [`${LIST_SOCKETS}  # where the daemon listens; name it in smtp_tls_policy_maps`];
  const note =
    stale === undefined ? [] : [`# in the place of ${stale.text}; if that is to stay, add to it instead:`];
  return [...note, ...mendWith(facts, stale, tableFor(facts, listener))];
}

/** The commands that put `text` in the place of `stale`, or at the end of the list. */
function mendWith(facts: PostfixFacts, stale: PolicyTable | undefined, text: string): string[] {
  const { commands, parameters, writtenPolicyMaps } = facts;
  if (stale === undefined)
    return commands.set({ smtp_tls_policy_maps: [writtenPolicyMaps, text].filter(Boolean).join(", ") });
  // A table that comes from `$name` is replaced in what main.cf comes to.
  const isWritten = writtenPolicyMaps.includes(stale.text);
  const setting = isWritten ? writtenPolicyMaps : (parameters["smtp_tls_policy_maps"] ?? "");
  return commands.set({ smtp_tls_policy_maps: setting.replace(stale.text, () => text) });
}

/** The commands that have Postfix ask `table` for another map. */
export function mendMap(facts: PostfixFacts, table: PolicyTable, map: string): string[] {
  return mendWith(
    facts,
    table,
    table.text.replace(/[^:]+$/, () => map),
  );
}

/** The table with which Postfix asks `listener`. */
function tableFor(facts: PostfixFacts, { address, protocol }: KnownListener): string {
  const map = mapFor(facts.version);
  if (address.kind === "unix") return `socketmap:unix:${inQueue(address.path, facts) ?? address.path}:${map}`;
  const endpoint = formatListenAddress(address);
  return protocol === "tcp_table" ? `tcp:${endpoint}` : `socketmap:inet:${endpoint}:${map}`;
}

/** A way to see the file system, chrooted or not, in which `table` is one of our sockets. */
function placeWhereOurs(
  { parameters }: PostfixFacts,
  { server }: PolicyTable,
  { listeners }: Listening,
): Place | undefined {
  const queueFolder = parameters["queue_directory"] ?? "";
  return [false, true]
    .map((chroot) => ({ queueFolder, chroot }))
    .find((place) => server !== undefined && listenerOf(server, listeners, place) !== undefined);
}

/** A path relative to the queue folder is the same in the chroot and outside; a socket elsewhere is out of reach there. */
function mendPath(facts: PostfixFacts, table: PolicyTable, place: Place, { listeners }: Listening): string[] {
  const { server, text } = table;
  const path = server?.endpoint.kind === "unix" ? server.endpoint.path : "";
  const relative = inQueue(pathOutside(path, place), facts);
  if (relative !== undefined)
    return mendWith(
      facts,
      table,
      text.replace(path, () => relative),
    );
  const tcp = listeners.find(({ protocol, address }) => protocol === "socketmap" && address.kind === "tcp");
  if (tcp !== undefined) {
    const map = server?.map ?? mapFor(facts.version);
    return mendWith(facts, table, `socketmap:inet:${formatListenAddress(tcp.address)}:${map}`);
  }
  return [
    `# stsmapd.yaml: let it listen below ${place.queueFolder}, as postfix-examples/socketmap-unix.cf says`,
  ];
}

function inQueue(path: string, { parameters }: PostfixFacts): string | undefined {
  const prefix = `${parameters["queue_directory"]}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}
