/** Addresses as the configuration writes them. */
import { isIP, isIPv4, isIPv6 } from "node:net";
import { BadValue, quote } from "./bad-value.ts";
import { type Field, field } from "./fields.ts";

/** A host, an IP address without brackets or a name, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

// Labels of letters, digits and hyphens; the last is not a number, or a mistyped IPv4 address would be a name.
const HOST_NAME =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;

/** `host:port` or `[v6]:port`; undefined if it is neither. Port 0 is any free port. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<name>[^:]*)):(?<port>\d{1,5})$/.exec(text);
  const { v6, name = "", port } = match?.groups ?? {};
  if (port === undefined || Number(port) > 65_535) return undefined;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port: Number(port) } : undefined;
  return isIPv4(name) || HOST_NAME.test(name) ? { host: name, port: Number(port) } : undefined;
}

export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A name server: an IP address, with a port other than 53 if it has one. */
export const nameServer: Field<HostPort> = field(readNameServer, formatHostPort);

/** A range of IP addresses, `address/prefix length`. A single address is a range of one. */
export const addressRange: Field<string> = field(readAddressRange, String);

function readNameServer(value: unknown): HostPort {
  const text = typeof value === "string" ? value : "";
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  const server = isIP(bare) ? { host: bare, port: 53 } : parseHostPort(text);
  if (server && isIP(server.host) && server.port > 0) return server;
  throw new BadValue(`${quote(value)} is no name server (127.0.0.1, 127.0.0.1:5353, ::1, [::1]:5353)`);
}

function readAddressRange(value: unknown): string {
  const match = typeof value === "string" ? /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) : null;
  const address = match?.[1] ?? "";
  const bits = isIPv4(address) ? 32 : 128;
  const length = Number(match?.[2] ?? bits);
  if (isIP(address) && length <= bits) return `${address}/${length}`;
  throw new BadValue(`${quote(value)} is no range of addresses (10.0.0.0/8, 192.0.2.1, fd00::/8)`);
}
