/** `listen:`, where questions are taken. */
import * as z from "zod/mini";
import { formatListenAddress, parseListenAddress } from "../net/listen-address.ts";
import type { HostPort, ListenAddress as Address } from "../net/listen-address.ts";
import { BadValue, quote } from "./bad-value.ts";
import {
  type Field,
  account,
  field,
  fileMode,
  list,
  listeningPath,
  oneOf,
  optional,
  withDefault,
} from "./fields.ts";
import { type Rule, section } from "./section.ts";

/** A socket that systemd hands down: `FileDescriptorName=` of its unit. Several may share a name; all of them are meant. */
interface SystemdAddress {
  readonly kind: "systemd";
  readonly name: string;
}

type ListenAddress =
  | SystemdAddress
  | ({ readonly kind: "tcp" } & HostPort)
  | {
      readonly kind: "unix";
      readonly path: string;
      /** Permission bits. */
      readonly mode: number;
      /** User name or number; undefined: the daemon's own. */
      readonly owner: string | number | undefined;
      /** Group name or number; undefined: the daemon's own. */
      readonly group: string | number | undefined;
    };

/** One listener. A tcp_table request names no map, so the listener does. */
export type Listener =
  | { readonly protocol: "socketmap"; readonly address: ListenAddress }
  | { readonly protocol: "tcp_table"; readonly address: ListenAddress; readonly map: string };

/** A listener as the file has it. */
interface Item {
  readonly protocol: "socketmap" | "tcp_table";
  readonly address: Address | SystemdAddress;
  readonly map: string | undefined;
  readonly mode: number | undefined;
  readonly owner: string | number | undefined;
  readonly group: string | number | undefined;
}

const DEFAULT_MODE = 0o660;

/** What has no file, or one that others made. */
const NOT_OURS = { tcp: "a TCP address", systemd: "a socket of systemd, whose unit says it" } as const;

/** As systemd allows it. */
const SYSTEMD_NAME = /^systemd:([ -9;-~]{1,255})$/;

/** Names of sockets that are served where no listeners are configured. */
const DEFAULT_NAMES = ["socketmap", "tcp_table"] as const;

const item = section<Item>(
  {
    protocol: oneOf(["socketmap", "tcp_table"]),
    address: field(readAddress, formatAddress),
    map: optional(field(readMapName, String)),
    mode: optional(fileMode),
    owner: optional(account),
    group: optional(account),
  },
  ({ protocol, map }) =>
    protocol === "socketmap" && map !== undefined
      ? {
          key: "map",
          message: "not for socketmap, whose requests name the map (only with protocol: tcp_table)",
        }
      : undefined,
  unixOnly("mode"),
  unixOnly("owner"),
  unixOnly("group"),
);

const listener: Field<Listener> = z.codec(item, z.custom<Listener>(), { decode: toListener, encode: toItem });

/** The listeners; by default socketmap on loopback. */
export const listen: Field<readonly Listener[]> = withDefault(list(listener), [
  { protocol: "socketmap", address: "127.0.0.1:8461" },
]);

function toListener({
  protocol,
  address,
  map = "postfix",
  mode = DEFAULT_MODE,
  owner,
  group,
}: Item): Listener {
  const at: ListenAddress = address.kind === "unix" ? { ...address, mode, owner, group } : address;
  return protocol === "socketmap" ? { protocol, address: at } : { protocol, address: at, map };
}

function toItem({ protocol, address, ...rest }: Listener): Item {
  const map = "map" in rest ? rest.map : undefined;
  if (address.kind !== "unix")
    return { protocol, address, map, mode: undefined, owner: undefined, group: undefined };
  const { kind, path, mode, owner, group } = address;
  return { protocol, address: { kind, path }, map, mode, owner, group };
}

function unixOnly(key: "mode" | "owner" | "group"): Rule<Item> {
  return ({ address, ...values }) =>
    address !== undefined && address.kind !== "unix" && values[key] !== undefined
      ? { key, message: `not for ${NOT_OURS[address.kind]} (only with unix:/path)` }
      : undefined;
}

/** The listeners, as the file has them, where none are configured and sockets of these names were handed down. */
export function defaultListeners(handedDown: readonly string[]): object[] | undefined {
  const listeners = DEFAULT_NAMES.filter((name) => handedDown.includes(name)).map((name) => ({
    protocol: name,
    address: `systemd:${name}`,
  }));
  return listeners.length > 0 ? listeners : undefined;
}

/** The index of the first of `listeners` whose socket was not handed down, and what is wrong. */
export function notHandedDown(
  listeners: readonly Listener[],
  handedDown: readonly string[],
): { readonly index: number; readonly message: string } | undefined {
  for (const [index, { address }] of listeners.entries()) {
    if (address.kind !== "systemd" || handedDown.includes(address.name)) continue;
    const names = handedDown.length > 0 ? handedDown.join(", ") : "none at all";
    const message = `systemd has handed down no socket of this name (${names}); start its socket unit before the service`;
    return { index, message };
  }
  return undefined;
}

/** The index of the first of `listeners` whose socket another one before it has already. */
export function takenTwice(listeners: readonly Listener[]): number {
  const names = listeners.map(({ address }) => (address.kind === "systemd" ? address.name : undefined));
  return names.findIndex((name, index) => name !== undefined && names.indexOf(name) < index);
}

/** An address as the file has it. */
export function formatAddress(address: Address | SystemdAddress): string {
  return address.kind === "systemd" ? `systemd:${address.name}` : formatListenAddress(address);
}

function readAddress(value: unknown): Address | SystemdAddress {
  const name = typeof value === "string" ? SYSTEMD_NAME.exec(value)?.[1] : undefined;
  if (name !== undefined) return { kind: "systemd", name };
  const address = typeof value === "string" ? parseListenAddress(value) : undefined;
  if (address?.kind === "unix") listeningPath(address.path);
  if (address !== undefined) return address;
  throw new BadValue(
    `${quote(value)} is no address (127.0.0.1:8461, [::1]:8461, unix:/run/stsmapd/socket, systemd:name)`,
  );
}

function readMapName(value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new BadValue(`${quote(value)} is no name of a map (one of those under maps)`);
}
