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

type ListenAddress =
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
  readonly address: Address;
  readonly map: string | undefined;
  readonly mode: number | undefined;
  readonly owner: string | number | undefined;
  readonly group: string | number | undefined;
}

const DEFAULT_MODE = 0o660;

const item = section<Item>(
  {
    protocol: oneOf(["socketmap", "tcp_table"]),
    address: field(readAddress, formatListenAddress),
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
  if (address.kind === "tcp")
    return { protocol, address, map, mode: undefined, owner: undefined, group: undefined };
  const { kind, path, mode, owner, group } = address;
  return { protocol, address: { kind, path }, map, mode, owner, group };
}

function unixOnly(key: "mode" | "owner" | "group"): Rule<Item> {
  return ({ address, ...values }) =>
    address?.kind === "tcp" && values[key] !== undefined
      ? { key, message: "not for a TCP address (only with unix:/path)" }
      : undefined;
}

function readAddress(value: unknown): Address {
  const address = typeof value === "string" ? parseListenAddress(value) : undefined;
  if (address?.kind === "unix") listeningPath(address.path);
  if (address !== undefined) return address;
  throw new BadValue(`${quote(value)} is no address (127.0.0.1:8461, [::1]:8461, unix:/run/stsmapd/socket)`);
}

function readMapName(value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new BadValue(`${quote(value)} is no name of a map (one of those under maps)`);
}
