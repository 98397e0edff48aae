/** Addresses as the configuration writes them. */
import { isIP, isIPv4 } from "node:net";
import { type HostPort, formatHostPort, parseHostPort } from "../net/listen-address.ts";
import { BadValue, quote } from "./bad-value.ts";
import { type Field, field } from "./fields.ts";

/** A name server: an IP address, with a port other than 53 if it has one. */
export const nameServer: Field<HostPort> = field(readNameServer, formatHostPort);

/** Where to listen on TCP, or null: nowhere. */
export const hostPortOrNull: Field<HostPort | undefined> = field(readHostPortOrNull, (address) =>
  address === undefined ? null : formatHostPort(address),
);

/** A range of IP addresses, `address/prefix length`. A single address is a range of one. */
export const addressRange: Field<string> = field(readAddressRange, String);

function readNameServer(value: unknown): HostPort {
  const text = typeof value === "string" ? value : "";
  const server = parseHostPort(text) ?? { host: text.replace(/^\[(.*)\]$/, "$1"), port: 53 };
  if (isIP(server.host) && server.port > 0) return server;
  throw new BadValue(`${quote(value)} is no name server (127.0.0.1, 127.0.0.1:5353, ::1, [::1]:5353)`);
}

function readHostPortOrNull(value: unknown): HostPort | undefined {
  if (value === null) return undefined;
  const address = typeof value === "string" ? parseHostPort(value) : undefined;
  if (address !== undefined) return address;
  throw new BadValue(`${quote(value)} is no TCP address (127.0.0.1:9461, [::1]:9461)`);
}

function readAddressRange(value: unknown): string {
  const match = typeof value === "string" ? /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) : null;
  const address = match?.[1] ?? "";
  const bits = isIPv4(address) ? 32 : 128;
  const length = Number(match?.[2] ?? bits);
  if (isIP(address) && length <= bits) return `${address}/${length}`;
  throw new BadValue(`${quote(value)} is no range of addresses (10.0.0.0/8, 192.0.2.1, fd00::/8)`);
}
